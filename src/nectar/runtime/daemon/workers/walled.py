"""The other way to be a worker's process: behind a wall, in a PID namespace of its own.

The daemon's child is bubblewrap then, which ends when the worker does, with its exit code or 128 and the signal. What is inside is
another process, the first one of the namespace: with it everything in there ends, and it is adopted by this process where bubblewrap
ends before it. It is known once bubblewrap has told its PID, a few milliseconds after its start.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import time

from nectar import features, proc, processes

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from typing import Any

_TOLD = 4096
"""Bytes that are read at once of what bubblewrap tells."""
_PATIENCE = 1.0
"""Seconds for bubblewrap to tell it."""
_INODE = 1024
"""Bytes of memory that an empty file takes, nearly."""


class Walled:
    """What is behind one wall, as :class:`nectar.runtime.daemon.workers.kernel.Wall` has it.

    :param told: a descriptor from which comes what bubblewrap tells.
    :param wall: as :attr:`nectar.protocol.Loading.wall`.
    :ivar outer: the PID of bubblewrap.
    """

    def __init__(self, told: int, wall: Mapping[str, Any]) -> None:
        self.outer = 0
        self._told: int | None = told
        self._heard = b""
        self._tmpfs: list[str] = wall["tmpfs"]
        self._most: int = wall["processes"]
        self._first: processes.Process | None = None

    def bound(self, pid: int, held: int | None) -> None:
        """Have the kernel bound what is inside, if it can, before anything of the author's runs there.

        :param pid: that of bubblewrap.
        :param held: the descriptor at whose end it goes on, where it waits for that.
        """
        self.outer = pid
        if held is None or self._told is None:
            return
        try:
            poll, end = select.poll(), time.monotonic() + _PATIENCE
            poll.register(self._told, select.POLLIN)
            while self._is_untold() and (left := end - time.monotonic()) > 0:
                poll.poll(left * 1000)
            if self._first is not None:
                features.bound_namespace(self._first.pid, self._most)
        except OSError:  # there is no room for more processes: it is counted
            pass
        finally:
            os.close(held)

    def kill(self) -> None:
        first = self._find()
        if first is not None:
            try:
                first.send(signal.SIGKILL)
            except OSError:  # it has ended
                pass

    @property
    def is_over(self) -> bool:
        first = self._find()
        return first is None or not first.there

    @property
    def pid(self) -> int:
        first = self._find()
        # What is left inside without a parent becomes a child of the first process, too, and stands after the worker there.
        return self.outer if first is None else proc.find_first_child(first.pid) or self.outer

    def is_first(self, pid: int) -> bool:
        first = self._find()
        return first is not None and first.pid == pid

    @property
    def is_crowded(self) -> bool:
        pids = self._pids()
        return len(pids) > self._most or sum(features.count_threads(pid, self._proc) for pid in pids) > self._most

    def resident(self) -> int:
        return sum(features.resident_memory(pid, self._proc) for pid in self._pids()) + self._in_files()

    def proportional(self) -> int:
        whole = shared = 0
        for pid in self._pids():
            its, of_files = features.proportional_memory(pid, self._proc)
            whole, shared = whole + its, shared + of_files
        # What of the files is mapped is in both.
        return whole + max(0, self._in_files() - shared)

    def processor_time(self) -> float:
        return sum(features.processor_time(pid, self._proc) for pid in self._pids())

    def close(self, status: int) -> int:
        if self._told is not None:
            os.close(self._told)
            self._told = None
        if self._first is not None:
            self._first.close()
        return 128 - status if 128 < status <= 128 + signal.NSIG else status

    def _find(self) -> processes.Process | None:
        """The first process inside; None where there is none yet, or none any more."""
        if self._first is not None or self._told is None:
            return self._first
        try:
            while piece := os.read(self._told, _TOLD):
                self._heard += piece
        except BlockingIOError:
            if not self._heard.rstrip().endswith(b"}"):
                return None
        os.close(self._told)
        self._told = None
        try:
            first = processes.Process(int(json.loads(self._heard)["child-pid"]))
        except (ValueError, KeyError, TypeError, ProcessLookupError):
            return None
        if proc.read_parent(first.pid) in (self.outer, os.getpid()):
            self._first = first
        else:  # it has ended, and its number is another's
            first.close()
        return self._first

    def _is_untold(self) -> bool:
        return self._find() is None and self._told is not None

    @property
    def _root(self) -> str:
        return "" if self._first is None else f"{features.PROC}/{self._first.pid}/root"

    @property
    def _proc(self) -> str:
        return f"{self._root}/proc"

    def _pids(self) -> list[int]:
        """PIDs of all processes inside, as they are called there."""
        if self._find() is None:
            return []
        try:
            return [int(name) for name in os.listdir(self._proc) if name.isdigit()]
        except OSError:
            return []

    def _in_files(self) -> int:
        if self._find() is None:
            return 0
        used = 0
        for path in self._tmpfs:
            try:
                told = os.statvfs(f"{self._root}{path}")
            except OSError:
                continue
            used += (told.f_blocks - told.f_bfree) * told.f_frsize + (told.f_files - told.f_ffree) * _INODE
        return used


def compose(
    wall: Mapping[str, Any], variables: Mapping[str, str], ours: ExitStack, theirs: ExitStack
) -> tuple[list[str], list[int], int, int | None]:
    """What stands before a worker's own command line.

    :param variables: what the worker gets, and bubblewrap does not.
    :param ours: closes what the daemon keeps, and ``theirs`` what is the child's.
    :returns: that, the descriptors in it, the one from which comes what bubblewrap tells, and the one that :meth:`Walled.bound` gets.
    :raises OSError: something that is granted leads elsewhere by now: somebody who can write beside it has made it a link.
    """
    for path in wall["granted"]:
        if os.path.realpath(path) != path:
            raise OSError(errno.ELOOP, "what is granted is a link by now", path)
    reading, writing = os.pipe()
    ours.callback(os.close, reading)
    theirs.callback(os.close, writing)
    os.set_blocking(reading, False)
    given = [writing]

    def hold(content: bytes) -> str:
        given.append(features.hold(content, theirs))
        return str(given[-1])

    held = None
    waiting: list[str] = []
    if features.can_bound_namespaces():
        awaited, held = os.pipe()
        ours.callback(os.close, held)
        theirs.callback(os.close, awaited)
        given.append(awaited)
        waiting = ["--block-fd", str(awaited)]
    told = ["--info-fd", str(writing), *waiting, "--seccomp", hold(bytes.fromhex(wall["filter"]))]
    for path, text in wall["files"].items():
        told += ["--ro-bind-data", hold(os.fsencode(text)), path]
    told += wall["arguments"]
    for name, value in variables.items():
        told += ["--setenv", name, value]
    # Not on a command line, which anybody can see.
    return [wall["program"], "--args", hold(os.fsencode("\0".join([*told, ""]))), "--"], given, reading, held
