"""What keeps nectar's side of a worker well in the process that it shares with the handler's code.

That code may replace, close or break whatever it reaches. What is needed after it has run is kept here before it runs; and what it
leaves behind is looked at as if it were meant to fail.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import os
import signal
import sys
import tokenize  # noqa: F401 - for a traceback's lines, for which newer versions of Python import it only then
import traceback
import unicodedata  # noqa: F401 - for a traceback with a line that is not ASCII

from nectar import features
from nectar.errors import NectarError
from nectar.runtime import frames
from nectar.runtime.frames import MAX_DETAIL, MAX_ERROR
from nectar.runtime.worker.own import OWN

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_OURS = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
_PLUGGY = os.path.join(os.path.dirname(os.path.dirname(_OURS)), "deps", "")
_NOT_THE_AUTHORS = (_OURS, _PLUGGY, importlib.__file__, "<frozen importlib")
"""How the names of files begin whose lines are no author's."""
_LIBRARY = os.path.dirname(os.path.dirname(importlib.__file__))
_RUNS = tuple(os.path.join(_LIBRARY, name, "") for name in ("asyncio", "concurrent"))
"""Those of what runs an author's coroutine: before the author's first line they are as little."""


def keep_builtins() -> Callable[[], None]:
    """What puts back all builtins as they are now; it needs none of them itself, and leaves new ones alone."""
    return functools.partial(vars(builtins).update, vars(builtins).copy())


class Channel:
    """The worker's end of the frames to and from its daemon.

    :param descriptor: of a socket that blocks. The module for those would take 3 ms and 0.5 MB of each worker.
    :param end: ends this process at once, with an exit code.
    """

    def __init__(self, descriptor: int, end: Callable[[int], Any]) -> None:
        self.descriptor = descriptor
        self._end = end
        self._reader = frames.Reader()
        self._fstat = functools.partial(os.fstat, descriptor)
        self._read = functools.partial(os.read, descriptor)
        self._write = functools.partial(os.write, descriptor)
        self._identity = self._identify()

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """Wait for a frame; None when the daemon has closed the channel.

        :raises OSError: it is not there any more.
        :raises Exception: out of a handler of the code's for a signal that came meanwhile.
        """
        return frames.receive(self._read, self._reader)

    def take(self) -> list[tuple[dict[str, Any], bytes]] | None:
        """The frames that are whole by now, once there is something to read; None when the daemon has closed the channel.

        :raises OSError: it is not there any more.
        """
        piece = self._read(1 << 16)
        self._reader.feed(piece)
        return [*iter(self._reader.next, None)] if piece else None

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame, or end this process where the channel is not there any more."""
        try:
            # The code may have closed our descriptor, and its number be that of a connection to somebody else by now.
            if self._identify() == self._identity:
                left = memoryview(frames.encode(header, body))
                while left:
                    left = left[self._write(left) :]
                return
        except OSError:  # the same, or the daemon is gone
            pass
        self._end(frames.CHANNEL_LOST)

    def _identify(self) -> tuple[int, int]:
        status = self._fstat()
        return status.st_dev, status.st_ino


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when its daemon dies; where it cannot be asked, the channel's end tells."""
    features.set_prctl(features.DIES_WITH, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def complain(where: str, error: BaseException) -> None:
    """Print an exception that costs no answer, where that can be printed."""
    try:
        sys.stderr.write(f"{where}: {describe(error)}\n{trace(error) or ''}")
    except BaseException:  # noqa: S110 - the code may have closed or replaced it
        pass


def flush() -> None:
    """Have out what the code has printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S112 - the same
            continue


def describe(error: BaseException) -> str:
    """Type and message of an exception, bounded."""
    try:
        name = type.__getattribute__(type(error), "__name__")[:MAX_ERROR]
        # A plain copy: a subclass of str would have its say in what follows.
        message = "".join([str(error)[: MAX_ERROR + 1]])
    except BaseException:
        return "An exception whose message cannot be shown"
    if isinstance(error, ImportError):  # which names a module's file
        message = name_origins(message)
    return f"{name}: {message}"[:MAX_ERROR] if message else f"{name}"


def explain(error: BaseException) -> dict[str, str | None]:
    """Why the handler could not be loaded: the parts of a :class:`nectar.errors.NectarError`."""
    if isinstance(error, NectarError):
        where = None if error.where is None else name_origins(error.where)
        return {"message": error.message, "where": where, "hint": error.hint, "detail": error.detail}
    message = f"The handler could not be loaded: {describe(error)}"
    return {"message": message, "where": None, "hint": None, "detail": trace(error)}


def name_origins(text: str) -> str:
    """The text with the author's files in place of the environment's copies that it names."""
    try:
        return OWN.name_in(text)
    except BaseException:
        return text


def trace(error: BaseException) -> str | None:
    """The traceback from the author's first line on, bounded: without nectar's own frames and those of the import system.

    :returns: None where there is no line of the author's in it, or it cannot be shown.
    """
    try:
        OWN.settle_lines()
        whole = traceback.TracebackException.from_exception(error, compact=True)
        pending = [whole]
        while pending:
            one = pending.pop()
            kept = [frame for frame in one.stack if not frame.filename.startswith(_NOT_THE_AUTHORS)]
            while one is whole and kept and kept[0].filename.startswith(_RUNS):
                del kept[0]
            one.stack = traceback.StackSummary.from_list(kept)
            pending += [other for other in (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())) if other]
        return name_origins("".join(whole.format()))[-MAX_DETAIL:] if whole.stack or isinstance(error, SyntaxError) else None
    except BaseException:
        return None
