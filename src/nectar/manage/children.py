"""Calls for several handlers at a time, each in a process of its own that is forked from this one.

So one that builds or loads for a minute holds up no other, an interrupt has each take back what it has begun, as it would alone, and
whatever goes wrong in one of them is the end of that one only.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from nectar.errors import NectarError, from_system
from nectar.manage.daemon.starting import read_failure
from nectar.manage.handlers.turns import OverruledError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import FrameType

KILLED_AFTER = 30.0
"""Seconds for a call to take back what it has begun; who puts one daemon in another's place does not break off in between."""
_LOOK = 0.05


class Ended(NamedTuple):
    """A call that has ended.

    :ivar value: what it returned; None also where it failed.
    :ivar problem: why it failed.
    :ivar overruled: whether that is a later command's doing.
    """

    name: str
    value: dict[str, Any] | None
    problem: NectarError | None = None
    overruled: bool = False


class Children:
    """The calls that are being carried out, by name. There is one at a time: it waits for all children of this process.

    :param private: descriptors that are this process's alone.
    """

    def __init__(self, private: Collection[int] = ()) -> None:
        self._private = private
        self._running: dict[str, tuple[int, int]] = {}
        """PID and descriptor of each, by its name."""
        self._said: dict[int, bytes] = {}
        self._reaped: set[int] = set()

    @property
    def names(self) -> Collection[str]:
        return self._running.keys()

    def begin(self, name: str, call: Callable[[], dict[str, Any] | None]) -> None:
        """Begin a call, which returns something for JSON.

        :raises OSError: there is no room for another process.
        """
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if pid == 0:
            _carry_out(call, writing, (reading, *self._private))
        os.close(writing)
        self._running[name] = (pid, reading)
        self._said[reading] = b""

    def collect(self, seconds: float | None = None, *, woken: int | None = None) -> list[Ended]:
        """Wait until a call has ended, and return those that have.

        :param seconds: for which it is waited at most.
        :param woken: a descriptor that ends the waiting when there is something to read.
        """
        self._reap()
        ended = []
        with selectors.DefaultSelector() as selector:
            for descriptor in (*self._said, *(() if woken is None else (woken,))):
                selector.register(descriptor, selectors.EVENT_READ)
            for key, _ in selector.select(seconds):
                if key.fd in self._said and not self._read(key.fd):
                    ended.append(self._end(key.fd))
        return ended

    def end(self, *, seconds: float = KILLED_AFTER) -> None:
        """Have all take back what they have begun, and wait for that; who does not within so many seconds is killed."""
        end = time.monotonic() + seconds
        self.interrupt()
        while self._running and (left := end - time.monotonic()) > 0:
            self.collect(min(left, _LOOK))
        self._send(signal.SIGKILL)
        while self._running:
            self.collect(_LOOK)

    def interrupt(self) -> None:
        """The same, without waiting."""
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for pid, _ in self._running.values():
            if pid not in self._reaped:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _read(self, descriptor: int) -> bool:
        piece = os.read(descriptor, 65536)
        self._said[descriptor] += piece
        return bool(piece)

    def _end(self, descriptor: int) -> Ended:
        os.close(descriptor)
        said = self._said.pop(descriptor)
        (name,) = (name for name, (_, reading) in self._running.items() if reading == descriptor)
        pid, _ = self._running.pop(name)
        if pid not in self._reaped:
            os.waitpid(pid, 0)
        self._reaped.discard(pid)
        if not said:
            return Ended(name, None, NectarError("The process that was at it was ended."))
        fields = json.loads(said)
        if "failed" not in fields:
            return Ended(name, fields["value"])
        return Ended(name, None, read_failure(fields["failed"]), fields["overruled"])

    def _reap(self) -> None:
        """Wait for what has ended, also what this process has inherited: as a container's first one it is everybody's parent."""
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                if any(pid == child for child, _ in self._running.values()):
                    self._reaped.add(pid)


def _carry_out(call: Callable[[], dict[str, Any] | None], writing: int, others: Collection[int]) -> NoReturn:
    """Be the process of a call, to its end."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in others:
            os.close(descriptor)
        reply: dict[str, Any] = {"value": call()}
    except NectarError as error:
        reply = _failed(error)
    except OSError as error:
        reply = _failed(from_system(error))
    except Exception as error:
        reply = _failed(NectarError(f"Nectar has a bug: {type(error).__name__}: {error}"))
    except BaseException:  # an interrupt
        os._exit(1)
    try:
        os.write(writing, json.dumps(reply).encode())
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _failed(error: NectarError) -> dict[str, Any]:
    fields = {"kind": error.kind, **{name: getattr(error, name) for name in ("message", "where", "hint", "detail")}}
    return {"failed": fields, "overruled": isinstance(error, OverruledError)}


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
