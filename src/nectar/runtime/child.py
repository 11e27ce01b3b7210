"""One worker, seen from its daemon: a process in a session of its own, the channel to it, and its end."""

from __future__ import annotations

import contextlib
import enum
import os
import secrets
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar import processes
from nectar.runtime.channel import Channel, Printed
from nectar.runtime.frames import CHANNEL_LOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.protocol import Loading
    from nectar.runtime.loop import Loop, Timer
    from nectar.runtime.run import Failure, Job

PATIENCE = 0.3
"""Seconds for a worker that closed its channel to end by itself."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class State(enum.Enum):
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    DEAD = "dead"


class End(enum.Enum):
    """Why the daemon ended a worker."""

    STOPPED = "it was stopped"
    OVERDUE = "it overstayed its deadline"
    SLOW = "it did not load in time"
    MEMORY = "it took too much memory"
    CLOSED = "it closed its channel to nectar"
    NONSENSE = "it wrote something else on its channel to nectar"


@dataclass(frozen=True)
class Worded:
    """Whom a worker's words go to.

    :ivar received: called with each header that it sends; a ValueError, KeyError or TypeError says that it is nonsense.
    :ivar printed: called with lines that its code printed.
    :ivar dropped: called with the number of lines that were too many.
    """

    received: Callable[[Worker, dict[str, Any]], None]
    printed: Callable[[list[str]], None]
    dropped: Callable[[int], None]


@dataclass(eq=False)
class Worker:
    """One process.

    :ivar token: marks it and all that it starts, see :mod:`nectar.processes`.
    :ivar number: of the job that it has, or had last.
    :ivar started: monotonic seconds at which it was started, or was given its job.
    :ivar answered: how many jobs it has answered.
    :ivar ended_by_us: why, where it did not end by itself.
    :ivar gone: whether it has ended: what still comes from it was sent before.
    """

    process: subprocess.Popen[bytes]
    token: str
    channel: Channel = field(init=False)
    printed: Printed = field(init=False)
    state: State = State.LOADING
    job: Job | None = None
    number: int = 0
    started: float = 0.0
    answered: int = 0
    timer: Timer | None = None
    ended_by_us: End | None = None
    failure: Failure | None = None
    gone: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self, why: End) -> None:
        """End it and its group. It is our child and not waited for yet, so that its PID is its own."""
        if self.state is State.DEAD:
            return
        if self.ended_by_us is None:
            self.ended_by_us = why
        signal_group(self.pid)

    def resident(self) -> int:
        """Bytes of memory that it has now (Linux; elsewhere, and where it has ended, 0)."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_bytes().split()[1]) * _PAGE
        except (OSError, IndexError, ValueError):
            return 0

    def rest(self) -> None:
        """It has nothing to do."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        self.job = None
        self.state = State.IDLE

    def bury(self) -> State:
        """Take what it left, after its end.

        :returns: what it was doing.
        """
        self.gone = True
        self.channel.drain()  # its last answer may be in there
        self.channel.close()
        processes.end_marked(self.token)
        self.printed.close()
        if self.timer is not None:
            self.timer.cancel()
        state, self.state = self.state, State.DEAD
        return state


def spawn(loop: Loop, loading: Loading, script: Path, owner: str, words: Worded) -> Worker:
    """Start a worker.

    :param owner: what marks the processes of this daemon.
    :raises OSError: it cannot be started.
    """
    token = f"{owner}/{secrets.token_hex(8)}"
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        own, given = socket.socketpair()
        ours.callback(own.close)
        theirs.callback(given.close)
        reading, writing = os.pipe()
        ours.callback(os.close, reading)
        theirs.callback(os.close, writing)
        process = subprocess.Popen(
            [loading.python, "-P", "-s", str(script), "worker", str(given.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            pass_fds=[given.fileno()],
            cwd=loading.directory if Path(loading.directory).is_dir() else "/",
            env={**loading.variables, processes.VARIABLE: token},
            start_new_session=True,
        )
        ours.pop_all()  # the worker's from here on
    worker = Worker(process, token, started=loop.now())
    worker.channel = Channel(
        loop,
        own,
        received=lambda header: words.received(worker, header),
        # Mostly it is about to end by itself, and then how it ended says more.
        closed=lambda: _kill_later(loop, worker),
        broken=lambda: worker.kill(End.NONSENSE),
    )
    worker.printed = Printed(loop, reading, words.printed, words.dropped)
    return worker


def how(status: int) -> str:
    """How a process ended that nobody of us ended, from its exit code."""
    if status == CHANNEL_LOST:
        return "lost its channel to nectar, which its code closed or used,"
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def ended() -> Iterator[int]:
    """PIDs of children that have ended and are not waited for yet, those that were adopted included."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        yield found.si_pid


def signal_group(pid: int) -> None:
    """End a process and its group; it must be a child that is not waited for yet."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _kill_later(loop: Loop, worker: Worker) -> None:
    loop.later(PATIENCE, lambda: worker.kill(End.CLOSED))
