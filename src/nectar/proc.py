"""What the kernel tells of processes in ``/proc``: empty where it does not, or tells of another PID namespace's."""

from __future__ import annotations

import os
from contextlib import suppress

from nectar import features

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST = 6 << 20
"""Bytes that are read of one file there: what the kernel gives a program at most. A process can say afterwards that it has more."""


def tells_starts() -> bool:
    """Whether one process can be told from another that is given its PID later."""
    return read_start(os.getpid()) != ""


def read_lines() -> list[str] | None:
    """The command line of each process that can be seen, and its variables; None where the system tells of none."""
    try:
        pids = [name for name in os.listdir(features.PROC) if name.isdigit()]
    except OSError:
        return None
    lines = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                lines.append(_read(f"{features.PROC}/{pid}/{name}").decode(errors="replace"))
    return lines if pids else None


def has_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open; where the system does not tell, it is taken to have."""
    if not features.has_proc():
        return True
    try:
        wanted = path.stat()
        descriptors = os.listdir(f"{features.PROC}/{pid}/fd")
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.path.samestat(os.stat(f"{features.PROC}/{pid}/fd/{descriptor}"), wanted):
                return True
        except OSError:
            continue
    return False


def read_delay(pid: int) -> float:
    """Seconds for which a process has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(_read(f"{features.PROC}/{pid}/schedstat").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def is_child(pid: int) -> bool:
    """Whether a process is a child of this one, and has not ended."""
    return read_parent(pid) == os.getpid()


def read_parent(pid: int) -> int:
    """The PID of a process's parent; 0 where it has ended, or the system does not tell."""
    return int((_stat(pid)[1:2] or ["0"])[0])


def find_first_child(pid: int) -> int | None:
    """The PID of the oldest child of a process, of those that its first thread has; None where it has none, or the system does not tell."""
    try:
        told = _read(f"{features.PROC}/{pid}/task/{pid}/children").split()
    except OSError:
        return None
    return int(told[0]) if told else None


def list_pids() -> list[int]:
    """PIDs of all processes; of none where no descriptor is left to look, or where ``/proc`` tells of another PID namespace's."""
    try:
        if not _proc_is_ours():
            return []
        return [int(name) for name in os.listdir(features.PROC) if name.isdigit()]
    except OSError:
        return []


def _proc_is_ours() -> bool:
    """Whether a PID in ``/proc`` is what a signal would go to: not where a new namespace was given no ``/proc`` of its own.

    :raises OSError: there is none.
    """
    return os.readlink(f"{features.PROC}/self") == str(os.getpid())


def read_variables(pid: int) -> dict[str, str]:
    """The variables of a process that are ours; none where it has ended, or is somebody else's."""
    try:
        told = _read(f"{features.PROC}/{pid}/environ")
    except OSError:
        return {}
    if b"NECTAR_" not in told:  # as of nearly all, when one of ours is looked for among them
        return {}
    ours = (pair.partition(b"=") for pair in told.split(b"\0") if pair.startswith(b"NECTAR_"))
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in ours}


def read_namespace(pid: int | str) -> str:
    """The number of a process's PID namespace; nothing where it cannot be read."""
    try:
        if not _proc_is_ours():
            return ""
        return os.readlink(f"{features.PROC}/{pid}/ns/pid").removeprefix("pid:[").removesuffix("]")
    except OSError:
        return ""


def holds_a_lock(pid: int) -> bool:
    """Whether a process has locked any file: a daemon that has not taken its name yet holds none."""
    return any(b"FLOCK" in told for told in _of_descriptors(pid))


def _of_descriptors(pid: int) -> Iterator[bytes]:
    """What the kernel tells of each of a process's descriptors."""
    directory = f"{features.PROC}/{pid}/fdinfo"
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        try:
            yield _read(f"{directory}/{name}")
        except OSError:  # it was closed meanwhile
            continue


def read_start(pid: int) -> str:
    """When a process began, in clock ticks since the machine's start; nothing where there is no such process, or only what is left of one."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """Its state, its parent and what else the kernel tells of it; nothing where there is none, or only what is left of one."""
    try:
        fields = _read(f"{features.PROC}/{pid}/stat").decode(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[:1] in ([], ["Z"], ["X"]) else fields


def _read(path: str) -> bytes:
    # With a file object it takes a third longer, and a daemon reads of each process at its start and at its end.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        told = bytearray()
        while len(told) < _MOST and (piece := os.read(descriptor, 1 << 14)):
            told += piece
        return bytes(told)
    finally:
        os.close(descriptor)
