"""A machine in the test's hand: its clock, its processes and its descriptors, whose effects come when the test says so, late or never.

It is what :class:`nectar.runtime.daemon.workers.kernel.Kernel` and the loop's selector ask. A kill takes effect later, and meanwhile the killed
process goes on; the end of a child is signalled late, or not at all; frames come in pieces; a call fails for want of memory.
"""

from __future__ import annotations

import errno
import os
import selectors
import struct
from dataclasses import dataclass, field
from json import loads
from select import select
from typing import TYPE_CHECKING, Any

from nectar.runtime.daemon.workers.kernel import Spawned

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from random import Random

    from nectar.protocol import Loading

LENGTHS = struct.Struct("!II")
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LIMIT = 1000
"""Bytes of memory of a process, above which it has too much."""


@dataclass(eq=False)
class Process:
    """:ivar inbox: what the daemon wrote and it has not read.
    :ivar outbox: what it wrote and the daemon has not read.
    :ivar killed: seconds at which a kill takes effect, where it was killed.
    :ivar status: its exit code, once it has ended; ``waited`` once the daemon knows.
    :ivar began: whether it has begun to load the handler: before that it starts nothing.
    :ivar begun: seconds at which it was given each computation, by id; ``read`` are those that it has read.
    :ivar slots: how many computations it works on at once, and ``jobs`` the number of each of them, by its id.
    :ivar cancels: whether it looks for more meanwhile, so that it can be told to end one.
    :ivar frees: whether it looks after each answer, and says when it has; ``lingering`` are the numbers of those that it looks after,
        ``freed`` is the second at which it last said so.
    """

    pid: int
    channel: int
    token: str
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    printed: bytearray = field(default_factory=bytearray)
    killed: float | None = None
    status: int | None = None
    waited: bool = False
    began: bool = False
    closed: bool = False
    reset: bool = False
    memory: int = 0
    greedy: bool = False
    nonsense: bool = False
    begun: dict[str, float] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    slots: int = 1
    jobs: dict[str, int] = field(default_factory=dict)
    cancels: bool = False
    frees: bool = False
    lingering: list[int] = field(default_factory=list)
    freed: float = 0.0
    first: float = 0.0

    @property
    def alive(self) -> bool:
        return self.status is None


class Machine:
    """:ivar now: seconds.
    :ivar calm: whether effects come at once and nothing fails.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 1000.0
        self.calm = False
        self.processes: dict[int, Process] = {}
        self.orphans: dict[str, int] = {}
        self.ready: list[int] = []
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._channels: dict[int, Process] = {}
        self._pipes: dict[int, Process] = {}
        self._numbers = iter(range(1 << 20, 1 << 60))

    def clock(self) -> float:
        if not self.calm and self.random.random() < 0.01:  # whoever looks at it twice may see two times
            self.now += 0.02
        return self.now

    # --- what the pool asks

    def spawn(self, loading: Loading, script: str, owner: str) -> Spawned:
        self._perhaps_fail(0.02)
        pid, channel, printed = next(self._numbers), next(self._numbers), next(self._numbers)
        process = Process(pid, channel, f"{owner}/{pid:016x}")
        self.processes[pid] = self._channels[channel] = self._pipes[printed] = process
        return Spawned(pid, channel, printed, process.token)

    def signal(self, pid: int) -> None:
        process = self.processes[pid]
        assert not process.waited, f"a signal to {pid}, which is nobody's by now"
        if process.alive and process.killed is None:
            delay = 0.0 if self.calm or self.random.random() < 0.3 else self.random.random()
            process.killed = self.now + delay

    def ended(self) -> Iterator[int]:
        for pid, process in [*self.processes.items()]:
            if not process.alive and not process.waited:
                yield pid

    def wait(self, pid: int) -> int:
        process = self.processes[pid]
        assert process.status is not None and not process.waited
        process.waited = True
        return process.status

    def read(self, descriptor: int, size: int) -> bytes:
        self._perhaps_fail(0.01)
        process = self._channels.get(descriptor)
        if process is None:
            process = self._pipes[descriptor]
            source = process.printed
        else:
            source = process.outbox
        if source:
            if not self.calm and self.random.random() < 0.3:
                size = self.random.randrange(1, 20)
            piece = bytes(source[:size])
            del source[:size]
            return piece
        if process.alive and not (process.closed and source is process.outbox):
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        if process.reset and source is process.outbox:
            process.reset = False
            raise ConnectionResetError(errno.ECONNRESET, "it was not read")
        return b""

    def write(self, descriptor: int, data: memoryview) -> int:
        self._perhaps_fail(0.01)
        process = self._channels[descriptor]
        if not process.alive or process.closed:
            raise BrokenPipeError(errno.EPIPE, "nobody reads")
        size = len(data)
        if not self.calm and self.random.random() < 0.05:
            size = self.random.randrange(1, size + 1)
        if not process.inbox:
            process.first = self.now
        process.inbox += data[:size]
        return size

    def close(self, descriptor: int) -> None:
        assert descriptor not in self._keys, "closed and still watched"
        if self._channels.pop(descriptor, None) is None:
            del self._pipes[descriptor]

    def resident(self, pid: int) -> int:
        process = self.processes[pid]
        return process.memory if process.alive else 0

    def exceeds(self, pid: int, limit: int) -> bool:
        return self.resident(pid) > limit

    def own_pid(self, pid: int) -> int:
        return pid

    def is_crowded(self, pid: int) -> bool:
        return False

    def processor_time(self, pid: int) -> float:
        return 0.0

    def kill_left(self, token: str | None) -> int:
        if not self.calm and self.random.random() < 0.005:
            raise MemoryError
        left = sum(self.orphans.values()) if token is None else self.orphans.get(token, 0)
        if left and (self.calm or self.random.random() < 0.5):
            for each in [*self.orphans] if token is None else [token]:
                self.orphans.pop(each, None)
        return left

    def has_unmarked(self, workers: Container[int]) -> bool:
        return bool(self.orphans) and self.random.random() < 0.5

    # --- what the loop asks

    def register(self, descriptor: int, events: int, data: Any = None) -> None:
        self._perhaps_fail(0.0005)
        assert descriptor not in self._keys
        self._keys[descriptor] = selectors.SelectorKey(descriptor, descriptor, events, data)

    def modify(self, descriptor: int, events: int, data: Any = None) -> None:
        if descriptor not in self._keys:
            raise KeyError(descriptor)
        self._keys[descriptor] = selectors.SelectorKey(descriptor, descriptor, events, data)

    def unregister(self, descriptor: int) -> None:
        del self._keys[descriptor]

    def get_map(self) -> Mapping[int, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What of ``ready`` is; no time passes in here."""
        found = []
        for descriptor in self.ready:
            key = self._keys.get(descriptor)
            if key is not None and (events := self._events(descriptor) & key.events):
                found.append((key, events))
        self.ready = []
        return found

    def watched(self) -> list[int]:
        return [*self._keys]

    def _events(self, descriptor: int) -> int:
        process = self._channels.get(descriptor)
        if process is not None:
            there = process.outbox or process.closed or not process.alive
            return (READ if there else 0) | WRITE
        process = self._pipes.get(descriptor)
        if process is None:  # a real one
            return READ if select([descriptor], [], [], 0)[0] else 0
        return READ if process.printed or not process.alive else 0

    # --- what the test makes happen

    def take_effect(self) -> None:
        """End what was killed and whose time has come."""
        for process in self.processes.values():
            if process.killed is not None and process.alive and process.killed <= self.now:
                self.end(process, -9)

    def end(self, process: Process, status: int) -> None:
        process.status = status
        process.closed = process.closed or self.hang_up(process)

    def hang_up(self, process: Process) -> bool:
        """Have it close its channel; that it has not read all is told to the other side once."""
        process.reset = bool(process.inbox)
        return True

    def receive(self, process: Process) -> dict[str, Any] | None:
        """The next frame that a process can read, and has the time for."""
        inbox = process.inbox
        if len(inbox) < 8:
            return None
        head, body = LENGTHS.unpack(inbox[:8])
        if len(inbox) < 8 + head + body:
            return None
        header: dict[str, Any] = loads(bytes(inbox[8 : 8 + head]))
        del inbox[: 8 + head + body]
        if header["do"] == "load":
            process.slots = header["slots"]
        if header["do"] == "run":
            assert len(process.jobs) + len(process.lingering) < process.slots, "it has more to do at once than it can"
            assert process.slots > 1 or process.first >= process.freed, "its time began before the last one was over"
            process.begun[header["comp_id"]] = process.first
            process.read.add(header["comp_id"])
            process.jobs[header["comp_id"]] = header["job"]
        process.first = self.now
        return header

    def send(self, process: Process, header: str) -> None:
        if not process.closed:
            process.outbox += LENGTHS.pack(len(header), 0) + header.encode()

    def _perhaps_fail(self, how_often: float) -> None:
        if not self.calm and self.random.random() < how_often:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
