"""A daemon's end: asked for over its socket, then by signals, and in any case within the time that was given.

Nothing of it is left afterwards: a worker, or what a worker started, that has outlived the daemon is ended too.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from nectar import namelock, proc, processes
from nectar.errors import UnresponsiveError
from nectar.manage.daemon import hosts
from nectar.manage.waits import wait
from nectar.processes import Process
from nectar.protocol import ask

if TYPE_CHECKING:
    from nectar.home import Home
    from nectar.namelock import Holder

GRACE = 2.0
"""Seconds on top of ``stop_timeout``, after which the daemon has been killed."""
_ASKING = 2.0
_SIGNALLED = 0.75
_KILLED = 10.0


def stop(home: Home, name: str, *, timeout: float) -> bool:
    """End a handler's daemon and all that it started.

    :param timeout: seconds that computations which run get to finish.
    :returns: whether a daemon ran.
    :raises UnresponsiveError: it could not be ended.
    """
    begun = time.monotonic()
    holder = namelock.find_holder(home, name)
    if holder is not None:
        _end(home, name, holder, timeout=timeout, begun=begun)
    _clear(home, name, timeout=timeout)
    hosts.leave(home)
    return holder is not None


def _clear(home: Home, name: str, *, timeout: float) -> None:
    """End what there is of a handler beside who holds its lock: daemons that were robbed of it, and what others left.

    :param timeout: as in :func:`stop`.
    :raises UnresponsiveError: one could not be ended.
    """
    end_robbed(home, name, timeout=timeout)
    processes.end_orphans(home.data_dir, name)
    with namelock.keep_free(home, name) as free:
        if free:  # another command may have started it again by now
            with suppress(OSError):  # on a disk that is read-only: the next daemon removes it
                home.socket(name).unlink(missing_ok=True)


def end_robbed(home: Home, name: str, *, timeout: float) -> None:
    """End daemons that were robbed of the name's lock, before another one takes it, which ends what they leave.

    :param timeout: as in :func:`stop`.
    :raises UnresponsiveError: one could not be ended.
    """
    begun = time.monotonic()
    while (robbed := namelock.find_robbed(home, name)) is not None:
        _end(home, name, robbed, timeout=timeout, begun=begun)


def _end(home: Home, name: str, holder: Holder, *, timeout: float, begun: float) -> None:
    daemon = _Daemon(home, name, holder)
    try:
        with wait(f"Stopping {name!r}", seconds=timeout + GRACE):
            ended = daemon.end_by_asking(timeout=timeout, begun=begun) or daemon.end_by_signals(timeout=timeout, begun=begun)
        if not ended:
            raise UnresponsiveError(
                f"The daemon of {name!r} (PID {daemon.pid}) cannot be ended.", hint=f"ps -o pid,stat,wchan:30 -p {daemon.pid}"
            )
    finally:
        daemon.close()


class _Daemon:
    """A handler's daemon that is to end. A signal to it never reaches another process that was given the same PID."""

    def __init__(self, home: Home, name: str, holder: Holder) -> None:
        self._home = home
        self._name = name
        self._robbed = holder.robbed
        self._asked = False
        self.pid = holder.pid
        self._process: Process | None = None
        if self.pid is not None and proc.tells_starts():
            try:
                self._process = Process(self.pid)
            except ProcessLookupError:
                self.pid = None  # It has just ended.
            # It is the name's daemon still, so what is held is no later process.
            self._current()

    def end_by_asking(self, *, timeout: float, begun: float) -> bool:
        """Ask for its end over its socket; of one that was robbed, that may be another's by now.

        :returns: whether it has come.
        """
        if self._robbed:
            return False
        try:
            request = {"do": "stop", "timeout": timeout}
            ask(self._home.socket(self._name), request, timeout=min(_ASKING, max(0.5, timeout)))
        except UnresponsiveError:
            return False
        self._asked = True
        return self._wait_for_end(end=begun + timeout + GRACE - 2 * _SIGNALLED)

    def end_by_signals(self, *, timeout: float, begun: float) -> bool:
        """Ask by a signal, which gets what is left of the time where nothing was asked yet, and then kill it.

        :returns: whether it has ended.
        """
        polite = _SIGNALLED if self._asked else max(_SIGNALLED, begun + timeout - time.monotonic())
        killed = _SIGNALLED if self.pid is None else _KILLED  # where nobody knows its PID, there is nothing more to wait for
        for numbers, seconds in (((signal.SIGTERM, signal.SIGCONT), polite), ((signal.SIGKILL,), killed)):
            for number in numbers:
                self._send(number)
            if self._wait_for_end(end=time.monotonic() + seconds):
                return True
        return False

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _send(self, number: signal.Signals) -> None:
        try:
            if self._process is not None:
                self._process.send(number)
            elif self.pid is not None and self._current():
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def _wait_for_end(self, *, end: float) -> bool:
        """Wait until the process has ended and the name is free, or another's.

        :param end: by :func:`time.monotonic`.
        """
        if self._process is not None and not self._process.ended(end=end):
            return False
        if self._robbed:
            return True
        return namelock.wait_until_free(self._home, self._name, end=max(end, time.monotonic() + 0.1), of=self.pid)

    def _current(self) -> bool:
        now = (namelock.find_robbed if self._robbed else namelock.find_holder)(self._home, self._name)
        if now is not None and now.pid == self.pid:
            return True
        self.close()
        self.pid = None
        return False
