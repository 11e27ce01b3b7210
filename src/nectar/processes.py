"""Processes that are proven ours: found by a token in their environment, and ended through a descriptor of them where there is one.

A PID alone proves nothing, because it may be somebody else's by now: its start says whose it is. Without ``/proc`` nothing is found.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import defaultdict
from contextlib import suppress

from nectar import features, proc
from nectar.frozen import NamedTuple

# As the library's own random has it: hashlib brings OpenSSL along, which is 4 MB of each daemon and a tenth of its start.
try:
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from hashlib import sha256

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from pathlib import Path
    from subprocess import Popen
    from typing import Any, Self

VARIABLE = "NECTAR_WORKER"
"""In the environment of each worker, and so of all that it starts: ``{handler}/{daemon}/{token}``.

The daemon is ``{PID}-{start time}-{PID namespace}``; a PID says something in its own namespace only. 0.1.0 wrote no namespace.
"""
DAEMON = "NECTAR_DAEMON"
"""In the environment of each daemon: what marks its handler."""

_PAUSE = 0.02
"""Seconds between two looks at processes that were killed."""


def adopt_orphans() -> None:
    """Make this process the parent of those of its descendants whose own parent ends, where it can be."""
    features.set_prctl(features.ADOPTS, 1)


def handler_mark(data_dir: str | Path, name: str) -> str:
    """What marks the processes of one handler, whichever daemon started them.

    It tells what the data dir is and not where: in a container, or after a move, another one may have its path.
    """
    return _hashed(_identity(data_dir), name)


def marks(data_dir: str | Path, name: str) -> tuple[str, str]:
    """What marks a handler's processes, and what did in 0.1.0: its path and its name."""
    return handler_mark(data_dir, name), _hashed(os.fsencode(data_dir), name)


def daemon_mark(handler: str) -> str:
    """What marks the processes that this daemon starts."""
    return f"{handler}/{os.getpid()}-{proc.read_start(os.getpid())}-{proc.read_namespace('self')}"


def kill_marked(mark: str) -> int:
    """Kill every process that carries a mark, and wait for none.

    :param mark: the first parts of the variable, whole.
    :returns: how many have not ended yet. One of them may have started others meanwhile: to be called until there is none.
    """
    return len(_kill(_carries(mark)))


def kill_children() -> int:
    """Kill every child of this process, and wait for none.

    :returns: how many have not ended yet; to be called until there is none, because the children of those become ours.
    """
    if features.PEEKS:
        try:
            features.ended_child()
        except ChildProcessError:  # there is none to be looked for among all processes
            return 0
    return len(_kill(proc.is_child))


def has_unmarked_children(known: Container[int]) -> bool:
    """Whether this process has any child, but those that are known, without a mark; False where the system does not tell."""
    return any(
        pid not in known and proc.is_child(pid) and VARIABLE not in proc.read_variables(pid) and proc.is_child(pid)
        for pid in proc.list_pids()
    )


def end_marked(mark: str, *, seconds: float = 2.0) -> None:
    """End every process that carries a mark, until there is none left or time is up.

    :param mark: the first parts of the variable, whole.
    """
    _end(_carries(mark), seconds)


def end_orphans(data_dir: str | Path, name: str, *, seconds: float = 2.0) -> None:
    """End what daemons of a handler left that are no longer there themselves, until there is none left or time is up.

    Only what this PID namespace has: of another's daemon, nobody here can tell whether it is there.
    """
    handlers = marks(data_dir, name)
    _end(lambda pid: _is_orphan(pid, handlers), seconds)


def unproven(data_dir: str | Path, name: str) -> list[int]:
    """PIDs of what carries a handler's mark and is left alone, because its PID namespace, or our own, cannot be read."""
    handlers = marks(data_dir, name)
    found = []
    for pid in proc.list_pids():
        handler, daemon = _Daemon.owning(proc.read_variables(pid).get(VARIABLE, ""))
        if handler in handlers and not (proc.read_namespace(pid) and proc.read_namespace("self")) and not daemon.is_there:
            found.append(pid)
    return found


def daemons(handlers: Container[str]) -> dict[str, set[int]]:
    """PIDs of the daemons in this PID namespace that have taken a name, by what marks their handler, in this version or in 0.1.0.

    A daemon is found by its own mark, or by its workers': those of 0.1.0 have none of their own.

    :param handlers: of which ones, by their marks. To look at each daemon of a machine takes half a millisecond for each.
    """
    here = proc.read_namespace("self")
    named: defaultdict[str, set[int]] = defaultdict(set)
    for pid in proc.list_pids():
        variables = proc.read_variables(pid)
        if variables.get(DAEMON) in handlers:
            named[variables[DAEMON]].add(pid)
        handler, daemon = _Daemon.owning(variables.get(VARIABLE, ""))
        if handler in handlers and daemon.namespace in (here, "") and daemon.is_there:
            named[handler].add(int(daemon.pid))
    return {
        handler: taken
        for handler, pids in named.items()
        if (taken := {pid for pid in pids if here and proc.read_namespace(pid) == here and proc.holds_a_lock(pid)})
    }


def end_group(child: Popen[Any], ask: Callable[[], object], *, seconds: float) -> bool:
    """End a child that leads a group: it is asked to, and killed with the whole group where that was not enough.

    :param ask: asks it; its group may have ended before.
    :param seconds: that each of the two has to show.
    :returns: whether asking was enough.
    """
    for act in (ask, lambda: os.killpg(child.pid, signal.SIGKILL)):
        if child.poll() is None:  # so it is not waited for, and neither its PID nor its group can be another's
            with suppress(ProcessLookupError):
                act()
        end = time.monotonic() + seconds
        while child.poll() is None and time.monotonic() < end:
            time.sleep(_PAUSE)
        if child.returncode is not None:
            return act is ask
    return False


def end_children(*, seconds: float = 2.0) -> None:
    """End every child of this process, and those that become its children meanwhile, until there is none left or time is up."""
    _end(proc.is_child, seconds)


class Process:
    """One process, and never another that was given its PID later.

    A descriptor of it is held where the system has such (Linux 5.3); where not, its start is compared right before each signal.

    :raises ProcessLookupError: there is none, or only what is left of one.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.started = proc.read_start(pid)
        self._descriptor = features.open_process(pid)
        if not self.there:
            self.close()
            raise ProcessLookupError(pid)

    @property
    def there(self) -> bool:
        """Whether it has not ended."""
        if self._descriptor is not None:
            return not self._wait(0)
        return self.started != "" and proc.read_start(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """:raises ProcessLookupError: it has ended.
        :raises PermissionError: it is not ours.
        """
        if self._descriptor is not None:
            features.signal_process(self._descriptor, number)
        elif self.there:
            os.kill(self.pid, number)
        else:
            raise ProcessLookupError(self.pid)

    def ended(self, *, end: float) -> bool:
        """Wait for its end.

        :param end: until when, by :func:`time.monotonic`.
        """
        while self.there:
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._wait(left)
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wait(self, seconds: float) -> bool:
        """:returns: whether it is known to have ended."""
        if self._descriptor is None:
            time.sleep(min(seconds, _PAUSE))
            return False
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        return bool(poller.poll(seconds * 1000))


class _Daemon(NamedTuple):
    """Whom a mark names.

    :ivar namespace: the PID namespace in which it has that PID; empty where 0.1.0 wrote the mark, or it could not be read.
    """

    pid: str
    started: str
    namespace: str

    @classmethod
    def owning(cls, mark: str) -> tuple[str, Self]:
        """The handler and the daemon in a whole mark."""
        handler, _, rest = mark.partition("/")
        pid, started, namespace = (*rest.partition("/")[0].split("-"), "", "", "")[:3]
        return handler, cls(pid, started, namespace)

    @property
    def is_there(self) -> bool:
        """Whether it lives, provided that its namespace is ours."""
        return self.pid.isdigit() and self.started != "" and proc.read_start(int(self.pid)) == self.started


def _identity(data_dir: str | Path) -> bytes:
    """Its device and inode; its device and path where inodes get new numbers whenever the kernel has forgotten them."""
    path = os.fsencode(os.path.realpath(data_dir))
    try:
        status = os.stat(path)
    except OSError:
        return path
    kind = _kind_of_file_system(status.st_dev)
    lasting = kind != "overlay" and not kind.startswith("fuse")
    return b"%d:%b" % (status.st_dev, b"%d" % status.st_ino if lasting else path)


def _kind_of_file_system(device: int) -> str:
    """As the kernel calls what is mounted; nothing where it does not tell."""
    number = f"{os.major(device)}:{os.minor(device)}"
    return next((line.partition(" - ")[2].split()[0] for line in features.mounts() if line.split()[2] == number), "")


def _hashed(place: bytes, name: str) -> str:
    return str(sha256(place + b"\0" + name.encode()).hexdigest()[:16])


def _is_orphan(pid: int, handlers: tuple[str, str]) -> bool:
    handler, daemon = _Daemon.owning(proc.read_variables(pid).get(VARIABLE, ""))
    if handler not in handlers or not daemon.pid.isdigit():
        return False
    here, where = proc.read_namespace("self"), proc.read_namespace(pid)
    # What a worker of ours started may be in a namespace of its own by now: its daemon was here all the same.
    return here != "" and where != "" and (daemon.namespace or where) == here and not daemon.is_there


def _carries(mark: str) -> Callable[[int], bool]:
    return lambda pid: f"{proc.read_variables(pid).get(VARIABLE, '')}/".startswith(f"{mark}/")


def _end(found: Callable[[int], bool], seconds: float) -> None:
    """Kill all, then wait for all: one that is slow to die holds up no other."""
    end = time.monotonic() + seconds
    left = _kill(found)
    while left and time.monotonic() < end:
        time.sleep(_PAUSE)
        # One that is about to end shows no mark any more.
        left = {(pid, started) for pid, started in left if proc.read_start(pid) == started} | _kill(found)


def _kill(found: Callable[[int], bool]) -> set[tuple[int, str]]:
    """Kill what is found, in one pass.

    :returns: PID and start of each that has not ended yet.
    """
    own = os.getpid()
    return {(pid, started) for pid in proc.list_pids() if pid != own and found(pid) and (started := _kill_one(pid, found))}


def _kill_one(pid: int, found: Callable[[int], bool]) -> str:
    """:returns: its start; nothing where it has ended, or is not ours to end."""
    try:
        process = Process(pid)
    except ProcessLookupError:
        return ""
    try:
        # Now that it cannot become another process: is it still the one that was found?
        if not found(pid):
            return ""
        process.send(signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return ""
    finally:
        process.close()
    return process.started
