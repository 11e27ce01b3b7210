"""A daemon's start: the process, and the conversation that ends with a handler that serves, or with nothing at all."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Literal, Self

from nectar import errors, processes
from nectar.errors import NectarError, UnresponsiveError
from nectar.manage.daemon import variables
from nectar.manage.waits import wait
from nectar.protocol import MAX_LINE, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from types import TracebackType

    from nectar.manage.daemon.assignment import Prepared
    from nectar.protocol import Assignment

TAKING_TIME = 20.0
"""Seconds for a daemon to take a name, and to begin to serve: it only opens files."""
LOADING_MARGIN = 10.0
"""Seconds on top of ``start_timeout``: the daemon itself says when loading took too long."""
ENDING_TIME = 5.0
"""Seconds for a daemon to end once nobody wants it any more."""

_LOOK = 0.25

_KINDS = {
    kind.kind: kind
    for kind in (
        NectarError,
        errors.UsageError,
        errors.NotFoundError,
        errors.ConflictError,
        errors.EnvironmentFailedError,
        UnresponsiveError,
    )
}


class Starting:
    """A daemon that is being started. Use it in a ``with`` block: unless ``serve`` was answered, the end of the block ends it.

    :raises NectarError: any step may raise one of the kind that the daemon names.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._serving = False
        self._process = spawn(prepared, "daemon", errors=subprocess.PIPE, more={processes.DAEMON: prepared.mark})
        self._lines = _Lines(self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def load(self, *, meanwhile: Callable[[], None]) -> dict[str, Any]:
        """Have the handler loaded by a worker; nothing on disk is touched by it.

        :param meanwhile: called a few times a second; it raises where the handler is not wanted any more.
        """
        seconds = self._prepared.settings.start_timeout + LOADING_MARGIN
        with wait(f"Loading {self._prepared.assignment.name!r}", seconds=seconds):
            return self._step(self._prepared.assignment.to_mapping(), "loaded", seconds, meanwhile)

    def take(self) -> dict[str, Any]:
        """Have the daemon take the name's lock and socket."""
        return self._step({"do": "take"}, "taken", TAKING_TIME)

    def serve(self) -> dict[str, Any]:
        """Have it claim questions; from here on it needs nobody."""
        reply = self._step({"do": "serve"}, "serving", TAKING_TIME)
        self._serving = True
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._lines.close()
        if self._serving:
            _let_go(self._process)
        else:
            end(self._process, self._prepared.assignment)

    def _step(
        self, message: dict[str, Any], state: str, seconds: float, meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        reply = self._lines.exchange(encode(message), seconds, meanwhile)
        if reply.get("state") == "failed":
            raise self._prepared.explain(read_failure(reply))
        if reply.get("state") != state:
            raise UnresponsiveError(f"The daemon answers {reply.get('state')!r} where {state!r} was expected.")
        return reply


def spawn(
    prepared: Prepared,
    role: Literal["daemon", "once"],
    *,
    errors: int | IO[bytes],
    more: Mapping[str, str] | None = None,
    lent: Collection[int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process of nectar's for a handler, in a session of its own; :func:`end` ends it.

    :param errors: where its standard error goes.
    :param more: variables besides those that each such process gets.
    :param lent: further descriptors that it gets, and then it stays in our session, in a group of its own: a terminal's.
    """
    return subprocess.Popen(
        [str(prepared.python), "-I", "-S", str(prepared.script), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd="/",
        env={**variables.choose_for_daemon(os.environ), **(more or {})},
        start_new_session=lent is None,
        process_group=None if lent is None else 0,
        pass_fds=lent or (),
    )


def read_failure(fields: dict[str, Any]) -> NectarError:
    """The error that a process of nectar's sent: ``kind``, ``message``, and where there are any ``where``, ``hint``, ``detail``.

    What the handler ``printed`` before comes first in the detail, as it did for the author.
    """
    more = {name: fields[name] for name in ("where", "hint", "detail") if isinstance(fields.get(name), str)}
    printed = fields.get("printed")
    if isinstance(printed, list) and printed:
        more["detail"] = "\n".join([*map(str, printed), *filter(None, [more.get("detail")])])
    return _KINDS.get(str(fields.get("kind")), NectarError)(str(fields.get("message", "It failed.")), **more)


def end(process: subprocess.Popen[bytes], assignment: Assignment) -> None:
    """End a child that nobody wants: its input is closed, and it is killed, with all it started, when that is not enough.

    :param assignment: the one that it was given.
    """
    if not processes.end_group(process, lambda: _close(process.stdin), seconds=ENDING_TIME):
        processes.end_orphans(assignment.data_dir, assignment.name)
    _let_go(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        _close(stream)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with suppress(BrokenPipeError):  # something is left that could not be written
            stream.close()


class _Lines:
    """Lines to and from a child, each with a deadline; what it writes to standard error is kept for when it dies."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._input = process.stdin.fileno()
        self._received = b""
        self._errors = b""
        self._open = True
        self._selector = selectors.DefaultSelector()
        for stream in (process.stdout, process.stderr):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream.fileno(), selectors.EVENT_READ, stream is process.stdout)

    def exchange(self, line: bytes, seconds: float, meanwhile: Callable[[], None]) -> dict[str, Any]:
        """Send a line and wait for the next one.

        :param meanwhile: called a few times a second.
        :raises UnresponsiveError: it ended, or nothing came in time.
        """
        end = time.monotonic() + seconds
        try:
            _write_all(self._input, line)
        except BrokenPipeError:
            pass  # It has ended; what it said before that counts.
        while b"\n" not in self._received:
            left = end - time.monotonic()
            if left <= 0 or len(self._received) > MAX_LINE:
                raise UnresponsiveError(f"The daemon did not answer within {seconds:g} seconds.", detail=self._said())
            if not self._open:
                self._read(0.2)  # Its last words may be a moment behind.
                raise UnresponsiveError("The daemon ended without a word.", detail=self._said())
            meanwhile()
            self._read(min(left, _LOOK))
        first, _, self._received = self._received.partition(b"\n")
        try:
            return decode(first)
        except ValueError:
            raise UnresponsiveError("The daemon does not speak this version's language.", detail=self._said()) from None

    def close(self) -> None:
        """Let go of the streams. A daemon that serves has let go of its own ends."""
        self._selector.close()

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            piece = os.read(key.fd, 65536)
            if not piece:
                self._selector.unregister(key.fd)
                self._open = self._open and not key.data
            elif key.data:
                self._received += piece
            else:
                self._errors = (self._errors + piece)[-65536:]

    def _said(self) -> str | None:
        return self._errors.decode(errors="replace").strip() or None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
