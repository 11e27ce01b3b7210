"""What the system can do that this process runs on, asked by feature and never by its name, and nowhere else.

Each answer says what it is where there is no such thing; whoever asks does without. ``/proc`` may be missing (macOS), hidden, or
another PID namespace's; the C library may have no ``prctl``; Python may be one that was built where ``waitid`` or descriptors of
processes were not known.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from functools import cache

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable
    from contextlib import ExitStack

PROC = "/proc"
"""Where the kernel tells of processes, if anywhere."""
O_PATH: int | None = getattr(os, "O_PATH", None)
"""For a descriptor that says which file it is and gives no right to it; None where there are none."""
PEEKS = hasattr(os, "waitid")
"""Whether a child's end can be seen without letting go of its PID."""
DIES_WITH = 1  # PR_SET_PDEATHSIG of prctl(2)
ADOPTS = 36  # PR_SET_CHILD_SUBREAPER

_EXT = 0xEF53  # f_type of statfs(2), of ext4 and of ext3
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_NEW_PIDS = 0x20000000  # CLONE_NEWPID of setns(2)
_GIVEN_ONCE = 300  # RESERVED_PIDS of the kernel: it begins anew with this one
_CREDENTIALS = 12  # of SO_PEERCRED: PID, user and group


def set_prctl(option: int, value: int) -> bool:
    """Have the kernel treat this process in a certain way.

    :param option: :data:`DIES_WITH` a signal when its parent ends, or :data:`ADOPTS` (1) descendants whose own parent ends.
    :returns: whether it can.
    """
    prctl = _c_function("prctl")
    return prctl is not None and prctl(option, value, 0, 0, 0) == 0


def has_inotify() -> bool:
    """Whether the kernel can be asked for events of directories."""
    return _c_function("inotify_init1") is not None


def call_inotify(call: str, *arguments: int | bytes) -> int:
    """Call one of the functions of inotify(7), by its name there without ``inotify_``; only where there is inotify.

    :raises OSError: what the kernel refuses.
    """
    import ctypes

    function = _c_function(f"inotify_{call}")
    assert function is not None
    result = function(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@cache
def _c_function(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it has none of that name, or cannot be called."""
    try:
        import ctypes

        return getattr(ctypes.CDLL(None, use_errno=True), name)  # type: ignore[no-any-return]
    except (ImportError, OSError, AttributeError):
        return None


def open_process(pid: int) -> int | None:
    """A descriptor of a process, which never becomes one of another; None where it has ended, or no such descriptor can be had."""
    if not (hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # this kernel has none, or a filter of system calls refuses it, or no descriptor is left
        return None


def signal_process(descriptor: int, number: signal.Signals) -> None:
    """Send a signal through a descriptor from :func:`open_process`.

    :raises OSError: as for :func:`os.kill`.
    """
    signal.pidfd_send_signal(descriptor, number)


def ended_child() -> int | None:
    """The PID of a child that has ended and is not waited for, which stays its own until then; None where there is none now.

    Only where :data:`PEEKS`.

    :raises ChildProcessError: there is no child at all.
    """
    found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if found is None else found.si_pid


def has_proc() -> bool:
    """Whether the kernel tells of processes."""
    return os.path.isdir(f"{PROC}/self/fd")


def resident_memory(pid: int, place: str | None = None) -> int:
    """Bytes of memory that a process has now; 0 where it has ended, or the system does not tell.

    :param place: where the kernel tells of it, as for :func:`processor_time`: that of another PID namespace, for a PID in there.
    """
    try:
        return int(_read(f"{place or PROC}/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def proportional_memory(pid: int, place: str) -> tuple[int, int]:
    """Bytes of memory that a process has now, of what it shares with others its part, and how much of that is of files in memory.

    Both are 0 where it has ended, or the system does not tell.
    """
    try:
        told = dict(line.split(b":", 1) for line in _read(f"{place}/{pid}/smaps_rollup").splitlines()[1:])
        whole, of_files = (int(told.get(name, b"0").split()[0]) * 1024 for name in (b"Pss", b"Pss_Shmem"))
    except (OSError, IndexError, ValueError):
        return 0, 0
    return whole, of_files


def count_threads(pid: int, place: str) -> int:
    """How many threads a process has; 0 where it has ended."""
    try:
        return int(_read(f"{place}/{pid}/stat").rpartition(b")")[2].split()[17])
    except (OSError, IndexError, ValueError):
        return 0


def processor_time(pid: int, place: str | None = None) -> float:
    """Seconds of processor time that a process has used; 0 where it has ended, or the system does not tell."""
    try:
        fields = _read(f"{place or PROC}/{pid}/stat").rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def bound_data(pid: int, soft: int, hard: int | None = None) -> None:
    """Bound what a process may ask for at once, resident or not; where that cannot be bounded from outside, nothing is.

    :param pid: 0 is this one.
    :param soft: bytes; not beyond its hard limit.
    :param hard: the hard limit from now on; None leaves it.
    :raises OSError, ValueError: it has ended, or has less.
    """
    import resource

    if hasattr(resource, "prlimit"):
        now = resource.prlimit(pid, resource.RLIMIT_DATA)[1] if hard is None else hard
        resource.prlimit(pid, resource.RLIMIT_DATA, (soft if now == resource.RLIM_INFINITY else min(soft, now), now))


def hold(content: bytes, stack: ExitStack) -> int:
    """A descriptor from which this can be read, of a file in memory that has no name; the stack closes it. Only on Linux."""
    descriptor = os.memfd_create("nectar")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def take_terminal() -> None:
    """Have a terminal that is standard input for this session, so that an interrupt that is typed there comes to it."""
    import fcntl
    import termios

    try:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    except OSError:  # it is another session's
        pass


def bound_walled(processes: int) -> None:
    """Have this process, and all that it starts, leave no picture of its memory behind, and be few.

    :param processes: at most so many, with their threads, where the kernel counts those of one namespace by themselves; it counts
        none of root's.
    """
    import resource

    # One byte and not none: where a program takes these pictures, as systemd's does, the kernel gives it none then.
    bounds = {resource.RLIMIT_CORE: 1} | ({resource.RLIMIT_NPROC: processes} if _counts_by_namespace() else {})
    for limit, bound in bounds.items():
        most = resource.getrlimit(limit)[1]
        few = bound if most == resource.RLIM_INFINITY else min(bound, most)
        resource.setrlimit(limit, (few, few))


def _counts_by_namespace() -> bool:
    """Whether a limit on processes counts those of one user namespace alone, and not all of its user, which is told nowhere else."""
    return _is_since(5, 14)


def can_bound_namespaces() -> bool:
    """Whether a PID namespace may be given a bound of its own by this process; before Linux 6.14 there was one for the whole machine."""
    return os.geteuid() == 0 and _is_since(6, 14) and _c_function("setns") is not None


def bound_namespace(pid: int, most: int) -> None:
    """Have few processes and threads in the PID namespace of a process, root's too, where :func:`can_bound_namespaces`.

    Where the system refuses it, as in a container, nothing is bounded.

    :param most: for so many there is room in any case, and for some hundreds more.
    :raises OSError: there is not even room for a process to set the bound.
    """
    setns = _c_function("setns")
    assert setns is not None
    child = os.fork()
    if child == 0:  # children alone enter a namespace, and its bound is set from inside
        try:
            if setns(os.open(f"{PROC}/{pid}/ns/pid", os.O_RDONLY), _NEW_PIDS) == 0:
                if inside := os.fork():
                    os.waitpid(inside, 0)
                else:
                    bound = os.open(f"{PROC}/sys/kernel/pid_max", os.O_WRONLY)
                    os.write(bound, b"%d" % (_GIVEN_ONCE + 2 * most))  # twice: a group or session keeps its number, too
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _is_since(*version: int) -> bool:
    """Whether this kernel is Linux of a version, or a later one."""
    release = os.uname().release.split("-")[0].split(".")
    return tuple(int(part) for part in release[:2] if part.isdigit()) >= version


def path_of(directory: int) -> str:
    """A path that leads to an open directory, wherever it has been moved.

    :raises OSError: the system has none.
    """
    path = f"{PROC}/self/fd/{directory}"
    if os.path.isdir(path):
        return path
    import fcntl

    if hasattr(fcntl, "F_GETPATH"):
        return os.fsdecode(fcntl.fcntl(directory, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def peer_user(client: socket.socket) -> int | None:
    """The user at the other side of a Unix socket; None where the system does not tell."""
    import socket

    if not hasattr(socket, "SO_PEERCRED"):
        return None
    told = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS)
    return int.from_bytes(told[4:8], sys.byteorder)


def extended_attributes(descriptor: int) -> list[str]:
    """Names of what a file system keeps beside an open file; none where it cannot be asked."""
    try:
        return os.listxattr(descriptor) if hasattr(os, "listxattr") else []
    except OSError:
        return []


def replaces_slowly(directory: int) -> bool:
    """Whether a file is written out at once when it is renamed onto another, as ext4 does it; False where that cannot be told.

    :param directory: a descriptor of it.
    """
    fstatfs = _c_function("fstatfs")
    if fstatfs is None:
        return False
    import ctypes

    told = ctypes.create_string_buffer(4096)  # more than any system tells
    return fstatfs(directory, told) == 0 and ctypes.c_long.from_buffer(told).value == _EXT


def exchange(one: str, other: str, directory: int) -> None:
    """Have two files of a directory change places, so that at no moment either name is missing.

    To do it twice is to undo it: this is nothing for a network's file system, where a request may be made again, by the kernel as well.

    :param directory: its descriptor.
    :raises OSError: as :func:`os.rename`, and where the system, or the directory's file system, knows no such thing.
    """
    renameat2 = _c_function("renameat2")
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if renameat2(directory, os.fsencode(one), directory, os.fsencode(other), _EXCHANGE):
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mounts() -> list[str]:
    """The lines of what is mounted, as in proc_pid_mountinfo(5); none where the kernel does not tell."""
    try:
        return _read(f"{PROC}/self/mountinfo").decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def machine() -> str:
    """What the machine is called that this process runs on, as in ``x86_64``."""
    return os.uname().machine


def list_missing_namespaces(kinds: Iterable[str]) -> list[str]:
    """Those of some kinds of namespaces that the system does not know; whether anybody may make the others is another matter."""
    return [kind for kind in kinds if not os.path.exists(f"{PROC}/self/ns/{kind}")]


def name_boot() -> tuple[str, str]:
    """What tells this start of the machine from others, nothing where the kernel does not tell; and which kernel it is."""
    try:
        boot = _read(f"{PROC}/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        boot = ""
    return boot, os.uname().release


def file_system(path: str | os.PathLike[str]) -> str:
    """The kind of the file system that something is on, as the kernel calls it; empty where it does not tell.

    :raises OSError: it cannot be looked at.
    """
    device = os.stat(path).st_dev
    for line in mounts():
        mount, _, kind = line.partition(" - ")
        if mount.split(" ")[2:3] == [f"{os.major(device)}:{os.minor(device)}"]:
            return kind.split(" ", 1)[0]
    return ""


def host_name() -> str:
    """What a person calls this machine."""
    return os.uname().nodename


def up_for() -> float:
    """Seconds since this kernel began, those included in which the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME if hasattr(time, "CLOCK_BOOTTIME") else time.CLOCK_MONOTONIC)


def kernel_limit(name: str) -> int | None:
    """A number under ``/proc/sys``, by its path there; None where there is no such limit."""
    try:
        return int(_read(f"{PROC}/sys/{name}"))
    except (OSError, ValueError):
        return None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
