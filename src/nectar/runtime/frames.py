"""Frames between the daemon and a worker: a header, which is a JSON object, and a body of bytes.

On the socket: four bytes for the length of the header, four for that of the body (both big-endian), then the two. What a header says
to do is under ``do``; the other fields are these:

==========  ==================================================================================================================
the daemon  holds
==========  ==================================================================================================================
``load``    ``parent`` (the daemon's PID, or behind a wall that of whom the worker sees there), ``entry`` and ``handler`` (value and name
            of the entry point), ``plugins`` (pairs of name and value), ``snapshot`` and ``directory`` (as in
            :class:`nectar.protocol.Loading`), ``pluggy`` (the path of the package), ``memory`` (bytes, or null for no limit),
            ``limits`` (what :func:`nectar.inherited.give_back` takes), ``processes`` (how many there may be behind its wall, threads
            counted, or null without one), ``slots`` (how many computations it runs at once), and ``name``, ``executor``, ``dask``,
            ``identity`` and ``lock`` (as :func:`nectar.manage.daemon.engine.describe` says them); it comes first, and once
``run``     ``job`` (a number, never the same again), ``comp_id``, ``timestamp`` (Unix seconds at which the question was
            written), ``deadline`` (seconds), ``name`` (to mark what it prints, where several run at once); the body is the question,
            as it was in its file
``cancel``  ``job``; it has overstayed, and is to be ended and answered, whatever with; only to a worker that cancels
``stop``    nothing: say farewell, and end
==========  ==================================================================================================================

==========  ==================================================================================================================
the worker  holds
==========  ==================================================================================================================
``ready``   ``warnings`` (a list of sentences), ``cancels`` (whether one of several computations can be ended by itself), ``frees``
            (whether a ``free`` comes after each answer); the handler is loaded, and ``run`` may come
``failed``  ``message``, ``where``, ``hint``, ``detail`` (text, or null but for the first, as in a
            :class:`nectar.errors.NectarError`); it ends after it
``answer``  ``job``, ``status`` (``success``, ``error``, or ``timeout`` of what was cancelled), ``value`` (an integer, or null),
            ``error`` and ``traceback`` (text, or null), ``seconds`` (that the function ran)
``free``    ``job``, ``error`` and ``traceback`` (text, or null); ``nectar_answered`` has ended, and another ``run`` may come in the
            place of this one; only from a worker that frees, and then after each answer
==========  ==================================================================================================================

A worker's frames have no body. One that comes when it is not due, or does not hold what it has to, is nonsense, and ends the worker:
its code may have written it. All that it holds is bounded by whoever reads it (:mod:`nectar.runtime.daemon.job`).
"""

from __future__ import annotations

import signal
import struct

from nectar.api.computation import Decoder, Encoder

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_HEADER = 1024 * 1024
MAX_BODY = 1 << 30
MAX_ERROR = 2000
"""Characters of what went wrong, in an answer."""
MAX_DETAIL = 50_000
"""Characters of a traceback. With all of them escaped in JSON, a frame can still hold it."""
MARK, MARKED = b"\x1e", b"\x1f"
"""Between these stands, in what a worker with several computations prints, whose the rest is, until the next; nothing stands for nobody's."""
CHANNEL_LOST = 111
"""The exit code of a worker whose channel is not there any more, or is something else by now."""
FAREWELL_FAILED = 112
"""The exit code of a worker whose handler raised an exception in ``nectar_worker_stopping``."""
ENGINE_LOST = 113
"""The exit code of a worker whose engine is not there any more: what it had is run again."""
EXECUTOR_BROKEN = 114
"""The exit code of a worker whose handler's executor can do nothing any more, mostly because one of its processes has died."""
_LENGTHS = struct.Struct("!II")


# Bound here, before any handler is loaded, so that one which patches `json` does not patch us.
_encode = Encoder().encode
_decode = Decoder().decode
_pack = _LENGTHS.pack
_unpack = _LENGTHS.unpack
_LENGTHS_SIZE = _LENGTHS.size


class FrameError(Exception):
    """What came is no frame: somebody else wrote on the channel."""


def encode(header: dict[str, Any], body: bytes = b"") -> bytes:
    """The bytes of one frame.

    :param header: what the table above says of its ``do``.
    """
    return head(header, len(body)) + body


def head(header: dict[str, Any], size: int) -> bytes:
    """The bytes of a frame that come before its body, which has this size."""
    encoded = _encode(header).encode()
    return _pack(len(encoded), size) + encoded


class Reader:
    """Takes bytes as they come and gives whole frames.

    :param max_body: bytes of a body; what claims to be more is no frame.
    """

    def __init__(self, *, max_body: int = MAX_BODY) -> None:
        self._buffer = bytearray()
        self._max_body = max_body

    def feed(self, piece: bytes) -> None:
        self._buffer += piece

    def next(self) -> tuple[dict[str, Any], bytes] | None:
        """Header and body of the next frame, or None where it is not all there yet.

        :raises FrameError: what is there is none.
        """
        if len(self._buffer) < _LENGTHS_SIZE:
            return None
        header_size, body_size = _unpack(self._buffer[:_LENGTHS_SIZE])
        if header_size > MAX_HEADER or body_size > self._max_body:
            raise FrameError("it is too long")
        end = _LENGTHS_SIZE + header_size + body_size
        if len(self._buffer) < end:
            return None
        try:
            header = _decode(self._buffer[_LENGTHS_SIZE : _LENGTHS_SIZE + header_size].decode())
        except (ValueError, RecursionError) as error:
            raise FrameError("its header is not JSON") from error
        if not isinstance(header, dict):
            raise FrameError("its header is not an object")
        body = bytes(self._buffer[_LENGTHS_SIZE + header_size : end])
        del self._buffer[:end]
        return header, body


def receive(read: Callable[[int], bytes], reader: Reader) -> tuple[dict[str, Any], bytes] | None:
    """Wait for a frame, and return its header and body; None when the other side has closed the channel.

    :param read: gives some bytes, as many as it is given at most; what it raises comes out.
    :raises FrameError: what came is none.
    """
    while (whole := reader.next()) is None:
        piece = read(1 << 16)
        if not piece:
            return None
        reader.feed(piece)
    return whole


def describe_status(status: int) -> str:
    """How a process ended that nobody of us ended, from its exit code, or minus the signal that ended it."""
    if status == CHANNEL_LOST:
        return "lost its channel to nectar, which its code closed or used,"
    if status == ENGINE_LOST:
        return "lost the engine"
    if status == EXECUTOR_BROKEN:
        return "lost its executor, of which a process died,"
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
