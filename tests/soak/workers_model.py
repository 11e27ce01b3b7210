"""What workers do on a machine in the test's hand: they load, answer, look after it, hang, leak, die and say nonsense, in any order."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tests.soak.machine import LIMIT, Machine, Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from nectar.runtime.daemon.loop import Loop

WAYS: list[tuple[str, str, Callable[[Process], bool]]] = [
    ("memory", "memory", lambda process: process.greedy),
    ("something else", "nonsense", lambda process: process.nonsense),
    ("closed its channel", "closed", lambda process: process.closed),
    ("", "died", lambda process: not process.alive),
]
"""The words of an error, what it is counted as, and whether a process did what it says."""
NONSENSE = (
    '{"do": "ready"}',
    "[]",
    "x",
    '{"do": "answer", "job": 0, "status": "success", "value": 1, "error": null, "traceback": null, "seconds": 0.1}',
)


class Workers:
    """Steps of which each makes one thing happen."""

    def __init__(self, random: Random, machine: Machine) -> None:
        self.random = random
        self.machine = machine
        self.frees = random.random() < 0.5
        """Whether the handler looks after its answers."""

    def act(self) -> None:
        """Have a process do what is next for it: dying or not, while it lives it may."""
        process = self._some_process()
        if process is None or process.closed:
            return
        random = self.random
        if process.lingering and random.random() < 0.3:
            self.free(process)
            return
        if process.jobs and (random.random() < 0.5 or not process.inbox):
            if random.random() < 0.6:
                self.answer(process)
            return
        header = self.machine.receive(process)
        if header is None:
            return
        match header["do"]:
            case "load":
                process.began = True
                way = random.random()
                if way < 0.9:
                    process.cancels = process.slots > 1 and random.random() < 0.5
                    process.frees = self.frees
                    says = {"do": "ready", "warnings": [], "cancels": process.cancels, "frees": process.frees}
                    self.machine.send(process, dumps(says))
                elif way < 0.95:
                    self.machine.send(process, '{"do": "failed", "message": "no", "where": null, "hint": null, "detail": null}')
                    self.machine.end(process, 1)
                # else it loads for ever
            case "run":
                if random.random() < 0.7:
                    self.answer(process)
            case "cancel":
                assert process.cancels, "it cannot be told to end one"
                comp_id = next((comp_id for comp_id, job in process.jobs.items() if job == header["job"]), None)
                if comp_id is not None and random.random() < 0.7:
                    del process.jobs[comp_id]
                    self._answered(process, header["job"], '"error", "value": null, "error": "CancelledError"')
            case "stop":
                self.machine.end(process, 0)

    def answer(self, process: Process) -> None:
        comp_id = self.random.choice([*process.jobs])
        job = process.jobs.pop(comp_id)
        self._answered(process, job, f'"success", "value": {int(comp_id) * 7}, "error": null')

    def _answered(self, process: Process, job: int, how: str) -> None:
        self.machine.send(process, f'{{"do": "answer", "job": {job}, "status": {how}, "traceback": null, "seconds": 0.1}}')
        if process.frees:
            process.lingering.append(job)

    def free(self, process: Process) -> None:
        """Have a process be done with one that it has answered."""
        job = process.lingering.pop(self.random.randrange(len(process.lingering)))
        process.freed = self.machine.now
        error = self.random.choice(["null", "null", '"no hold"'])
        self.machine.send(process, f'{{"do": "free", "job": {job}, "error": {error}, "traceback": null}}')

    def misbehave(self) -> None:
        process = self._some_process()
        if process is None:
            return
        match self.random.randrange(7):
            case 0:
                self.machine.end(process, self.random.choice([0, 3, -11]))
            case 1:
                process.memory = self.random.choice([0, 2 * LIMIT])
                process.greedy = process.greedy or process.memory > LIMIT
            case 2:
                process.printed += b"line\n" * self.random.randrange(5)
            case 3:
                if process.began:
                    self.machine.orphans[process.token] = self.random.randint(1, 3)
            case 4:
                process.closed = process.closed or self.machine.hang_up(process)
            case 5:
                if self.random.random() < 0.3:
                    self.machine.send(process, self.random.choice(NONSENSE))
                    process.nonsense = True
            case 6:
                process.killed = process.killed or self.machine.now  # by somebody else

    def _some_process(self) -> Process | None:
        alive = [process for process in self.machine.processes.values() if process.alive]
        return self.random.choice(alive) if alive else None

    def deliver(self, loop: Loop) -> None:
        """Let a loop see some of what is ready for it, or all."""
        watched = self.machine.watched()
        if watched:
            self.machine.ready = watched if self.random.random() < 0.5 else [self.random.choice(watched)]
            loop.turn()

    def let_pass(self, loop: Loop) -> None:
        """Let time pass: what was killed may end, and what is due is done."""
        self.machine.now += self.random.choice([0.001, 0.02, 0.06, 0.3, 1.0])
        self.machine.take_effect()
        loop.turn()

    def settle(self, loop: Loop) -> None:
        """Half a second in which all that can happen does."""
        for process in self.machine.processes.values():
            while process.alive and process.jobs and not process.closed:
                self.answer(process)
            while process.alive and process.lingering and not process.closed:
                self.free(process)
        for _ in range(3):
            self.act()
        self.machine.ready = self.machine.watched()
        loop.turn()
        self.machine.now += 0.5
        self.machine.take_effect()
        loop.turn()


def blame(error: str | None, had: list[Process]) -> str:
    """In a word, what an error says of those who had a question; it must be true of one of them."""
    assert had, f"{error} is said of a question that was never given to a worker"
    _words, kind, did = next(way for way in WAYS if way[0] in str(error))
    guilty = [process for process in had if did(process)]
    assert guilty, f"{error} is said of a question for whose workers it is not true"
    # What comes after nonsense is not read.
    alone = any(process.nonsense or not process.lingering for process in guilty)
    assert alone, f"{error} is said of a question, and what looked after another's answer may have done it"
    return kind
