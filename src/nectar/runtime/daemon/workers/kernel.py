"""What the pool asks of the operating system, behind one seam: processes, their ends, and the descriptors that lead to them."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess

from nectar import features, processes
from nectar.frozen import NamedTuple, Protocol

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from nectar.protocol import Loading
    from nectar.runtime.daemon.workers.walled import Walled

SHORTAGES = frozenset({errno.EAGAIN, errno.EINTR, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})
"""What the machine has too little of for a moment: no fault of anybody's, and gone when it is tried again."""
MOST_LEFT = 64
"""Pieces that are read after a worker's end: more than a socket holds. What the worker left running may go on writing."""
BREATH = 0.05
"""Seconds until a descriptor is read again that could not be read for want of something."""
LAST_WORDS = 1.0
"""Seconds in which what a dead worker said must have been read, where the machine has too little of something to do so."""


class Spawned(NamedTuple):
    """A worker's process, and the daemon's ends of what leads to it.

    :ivar channel: a descriptor for frames both ways.
    :ivar printed: a descriptor from which comes what its code prints.
    :ivar token: marks it and all that it starts.
    """

    pid: int
    channel: int
    printed: int
    token: str


class Kernel(Protocol):
    """Whatever runs workers. What it is told to do may take effect late: a kill most of all."""

    def spawn(self, loading: Loading, script: str, owner: str) -> Spawned:
        """Start a worker.

        :param script: ``start.py`` of the runtime.
        :param owner: what marks the processes of this daemon.
        :raises OSError: it cannot be started.
        """

    def signal(self, pid: int) -> None:
        """Have a worker and its group end; it must be a child that is not waited for yet."""

    def ended(self) -> Iterator[int]:
        """Children that have ended and are not waited for yet, those that were adopted included."""

    def wait(self, pid: int) -> int:
        """Let go of one of those, and return its exit code, or minus the signal that ended it."""

    def read(self, descriptor: int, size: int) -> bytes:
        """As :func:`os.read`."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """As :func:`os.write`."""

    def close(self, descriptor: int) -> None:
        """As :func:`os.close`."""

    def resident(self, pid: int) -> int:
        """Bytes of memory that a worker has now; 0 where it has ended, or the system does not tell."""

    def exceeds(self, pid: int, limit: int) -> bool:
        """Whether it has more than so many bytes."""

    def own_pid(self, pid: int) -> int:
        """The PID of the worker itself, for whoever looks at it, where that is not the child that stands for it; the same where it is not known."""

    def is_crowded(self, pid: int) -> bool:
        """Whether there are more processes behind a worker's wall than there may be."""

    def processor_time(self, pid: int) -> float:
        """Seconds of processor time that a worker has used; 0 where it has ended, or the system does not tell."""

    def kill_left(self, token: str | None) -> int:
        """Have everything end that carries a token, or, with None, every child of this process; nothing is waited for.

        :returns: how many there still are.
        """

    def has_unmarked(self, workers: Container[int]) -> bool:
        """Whether this process has any child, but those, that carries no token; False where the system does not tell."""


class Wall(Protocol):
    """What one worker is behind: bubblewrap's, or whatever else keeps it in. The PID by which it is known is that of the child that stands for it."""

    def kill(self) -> None:
        """Have all that is inside end."""

    @property
    def pid(self) -> int:
        """That of the worker itself, as it is called out here; the child's where it is not known, or has ended."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left inside; to be asked once the child has ended."""

    def is_first(self, pid: int) -> bool:
        """Whether this process is none of its own, but what all others inside end with."""

    @property
    def is_crowded(self) -> bool:
        """Whether there are more processes and threads inside than there may be."""

    def resident(self) -> int:
        """Bytes of memory that all of it has, and the files that are kept in memory; what processes share is counted for each."""

    def proportional(self) -> int:
        """The same, with what processes share counted once, which takes longer to be told."""

    def processor_time(self) -> float:
        """Seconds of processor time that all processes inside have used."""

    def close(self, status: int) -> int:
        """Let go of it.

        :param status: how the child has ended: its exit code, or minus the signal.
        :returns: the same of the worker.
        """


class Terminal(NamedTuple):
    """Where somebody debugs a handler: the worker has it, and belongs to the process group that it is for.

    :ivar streams: the descriptors that are the worker's standard streams.
    """

    group: int
    streams: tuple[int, int, int]


class System:
    """The operating system that this process runs on.

    :param terminal: None for workers in sessions of their own, whose standard input is empty.
    """

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._walled: dict[int, Wall] = {}
        self._statuses: dict[int, int] = {}
        self._ahead: Spawned | None = None

    def start_ahead(self, loading: Loading, script: str, owner: str) -> None:
        """Start the worker that :meth:`spawn` will be asked for first. One that cannot be started now, is tried again then."""
        with contextlib.suppress(OSError):
            self._ahead = self.spawn(loading, script, owner)

    def spawn(self, loading: Loading, script: str, owner: str) -> Spawned:
        if self._ahead is not None:
            spawned, self._ahead = self._ahead, None
            return spawned
        token = f"{owner}/{os.urandom(8).hex()}"
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            own, given = socket.socketpair()
            ours.callback(own.close)
            theirs.callback(given.close)
            own.setblocking(False)
            reading, writing = os.pipe()
            ours.callback(os.close, reading)
            theirs.callback(os.close, writing)
            os.set_blocking(reading, False)
            wall: Walled | None = None
            held: int | None = None
            command, passed = [loading.python, "-P", "-s", script, "worker", str(given.fileno())], [given.fileno()]
            if loading.wall is not None:
                from nectar.runtime.daemon.workers import walled  # which no daemon without a wall is to have

                os.stat(loading.python)  # as where it is started itself: bubblewrap is there, and would only end
                before, more, told, held = walled.compose(loading.wall, loading.variables, ours, theirs)
                command, passed, wall = before + command, passed + more, walled.Walled(told, loading.wall)
            process = self._start(loading, command, passed, writing, token)
            ours.pop_all()  # the worker's from here on
        self._children[process.pid] = process
        if wall is not None:
            self._walled[process.pid] = wall
            wall.bound(process.pid, held)
        return Spawned(process.pid, own.detach(), reading, token)

    def _start(self, loading: Loading, command: list[str], passed: list[int], printed: int, token: str) -> subprocess.Popen[bytes]:
        terminal = self._terminal
        entered, shown, complained = terminal.streams if terminal else (subprocess.DEVNULL, printed, printed)
        apart = terminal is None or loading.wall is not None  # behind a wall, there is no terminal but what is relayed
        outside = loading.wall is None
        return subprocess.Popen(
            command,
            stdin=entered,
            stdout=shown,
            stderr=complained,
            pass_fds=passed,
            cwd=loading.directory if outside and can_be_entered(loading.directory) else "/",
            # What an author sets may have the loader run the author's code, and bubblewrap is outside of its wall.
            env={**(loading.variables if outside else {}), processes.VARIABLE: token},
            start_new_session=apart,
            process_group=None if apart or terminal is None else terminal.group,
        )

    def signal(self, pid: int) -> None:
        if pid in self._walled:
            self._walled[pid].kill()
        if pid in self._statuses:  # it has been waited for, so that its number may be another's by now
            return
        for send in (os.killpg, os.kill):
            try:
                send(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue

    def ended(self) -> Iterator[int]:
        while True:
            try:
                pid = self._next_ended()
            except ChildProcessError:
                pid = None
            if pid is None:
                break
            if pid in self._walled:
                self._take_status(pid)
                self._walled[pid].kill()
            elif any(wall.is_first(pid) for wall in self._walled.values()):
                self._take_status(pid)  # bubblewrap had ended before it, so that it has become ours
                del self._statuses[pid]
            else:
                yield pid
        # A walled worker has ended when nothing of it is left inside.
        yield from [pid for pid, wall in self._walled.items() if pid in self._statuses and wall.is_over]

    def wait(self, pid: int) -> int:
        self._take_status(pid)
        status = self._statuses.pop(pid)
        child = self._children.pop(pid, None)
        if child is not None:
            child.returncode = status
        wall = self._walled.pop(pid, None)
        return status if wall is None else wall.close(status)

    def _take_status(self, pid: int) -> None:
        if pid not in self._statuses:
            self._statuses[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def read(self, descriptor: int, size: int) -> bytes:
        return os.read(descriptor, size)

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def resident(self, pid: int) -> int:
        wall = self._walled.get(pid)
        return features.resident_memory(pid) if wall is None else wall.resident()

    def exceeds(self, pid: int, limit: int) -> bool:
        wall = self._walled.get(pid)
        return self.resident(pid) > limit and (wall is None or wall.proportional() > limit)

    def own_pid(self, pid: int) -> int:
        wall = self._walled.get(pid)
        return pid if wall is None else wall.pid

    def is_crowded(self, pid: int) -> bool:
        return pid in self._walled and self._walled[pid].is_crowded

    def processor_time(self, pid: int) -> float:
        wall = self._walled.get(pid)
        return features.processor_time(pid) if wall is None else wall.processor_time()

    def kill_left(self, token: str | None) -> int:
        return processes.kill_children() if token is None else processes.kill_marked(token)

    def has_unmarked(self, workers: Container[int]) -> bool:
        return processes.has_unmarked_children(workers)

    def _next_ended(self) -> int | None:
        if features.PEEKS:
            return features.ended_child()
        # Where a child's end cannot be seen without letting go of it, its group is found by its mark alone.
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        self._statuses[pid] = os.waitstatus_to_exitcode(status)
        return pid


def can_be_entered(directory: str) -> bool:
    """Whether a process of this user could be started in it: looking up what lies in it needs the same right."""
    return os.path.isdir(os.path.join(directory, "."))
