"""A daemon's end: asked for over its socket, then by signals, and in any case within the time that was given.

Nothing of it is left afterwards: a worker, or what a worker started, that has outlived the daemon is ended too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

from nectar import processes
from nectar.errors import UnresponsiveError
from nectar.manage import liveness
from nectar.protocol import ask

if TYPE_CHECKING:
    from nectar.home import Home

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
    daemon = _Daemon(home, name)
    try:
        if daemon.runs:
            _end(daemon, timeout=timeout, begun=begun)
    finally:
        daemon.close()
    processes.end_orphans(processes.handler_mark(home.data_dir, name))
    with liveness.kept_free(home, name) as free:
        if free:  # another command may have started it again by now
            home.socket(name).unlink(missing_ok=True)
    return daemon.runs


def _end(daemon: _Daemon, *, timeout: float, begun: float) -> None:
    try:
        ask(daemon.home.socket(daemon.name), {"do": "stop", "timeout": timeout}, timeout=min(_ASKING, max(0.5, timeout)))
        if daemon.gone(end=begun + timeout + GRACE - 2 * _SIGNALLED):
            return
        polite = _SIGNALLED
    except UnresponsiveError:
        # SIGTERM asks for the same as the socket does, so it gets what is left of the same time.
        polite = max(_SIGNALLED, begun + timeout - time.monotonic())
    killed = _SIGNALLED if daemon.pid is None else _KILLED  # where nobody knows its PID, there is nothing more to wait for
    for numbers, seconds in (((signal.SIGTERM, signal.SIGCONT), polite), ((signal.SIGKILL,), killed)):
        for number in numbers:
            daemon.send(number)
        if daemon.gone(end=time.monotonic() + seconds):
            return
    raise UnresponsiveError(
        f"The daemon of {daemon.name!r} (PID {daemon.pid}) cannot be ended.", hint=f"ps -o pid,stat,wchan:30 -p {daemon.pid}"
    )


class _Daemon:
    """The process that holds a name's lock. A signal to it never reaches another process that was given the same PID."""

    def __init__(self, home: Home, name: str) -> None:
        self.home = home
        self.name = name
        holder = liveness.holder(home, name)
        self.runs = holder is not None
        self.pid = None if holder is None else holder.pid
        self._descriptor: int | None = None
        if sys.platform == "linux" and self.pid is not None:
            try:
                self._descriptor = os.pidfd_open(self.pid)
            except OSError:
                self.pid = None  # It has just ended.
            # It still holds the lock, so the descriptor is of no later process.
            self._current()

    def send(self, number: signal.Signals) -> None:
        try:
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, number)
            elif self.pid is not None and self._current():
                os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def gone(self, *, end: float) -> bool:
        """Wait until the process has ended and the name is free, or another's.

        :param end: by :func:`time.monotonic`.
        """
        if self._descriptor is not None:
            poller = select.poll()
            poller.register(self._descriptor, select.POLLIN)
            if not poller.poll(max(0.0, end - time.monotonic()) * 1000):
                return False
        return liveness.wait_until_free(self.home, self.name, end=max(end, time.monotonic() + 0.1), of=self.pid)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _current(self) -> bool:
        now = liveness.holder(self.home, self.name)
        if now is not None and now.pid == self.pid:
            return True
        self.close()
        self.pid = None
        return False
