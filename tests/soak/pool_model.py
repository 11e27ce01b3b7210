"""The pool against its model: every job has exactly one outcome, and it is its own.

The real pool runs on a machine in the test's hand. Each step makes one thing happen, in random order: a job is given, a worker reads,
answers, prints, leaks, dies or says nonsense, a kill takes effect, a signal of a child's end comes or does not, time passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

from nectar.protocol import Loading
from nectar.runtime.loop import Loop
from nectar.runtime.pool import Pool
from nectar.runtime.run import Job, Outcome
from nectar.settings import Settings
from tests.soak.machine import LIMIT, Machine, Process

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable

ALIASES = ("one", "two", "three")
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
EPISODE = 3000
"""Steps, after which all calms down, and what was asked must have its outcome."""


@dataclass(eq=False)
class Asked:
    """:ivar value: the right answer.
    :ivar given: seconds at which the pool got it.
    :ivar interrupted: whether the pool was told to end what runs for its alias since.
    """

    number: int
    alias: str
    deadline: float
    given: float
    interrupted: bool = False
    outcomes: list[Outcome | None] = field(default_factory=list)

    @property
    def value(self) -> int:
        return self.number * 7


class Model:
    """One episode.

    :param seed: gives the same episode again.
    :ivar seen: how often each kind of thing came out.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.machine = Machine(self.random)
        self.loop = Loop(self.machine.clock, cast("selectors.BaseSelector", self.machine))
        self.faults: list[Exception] = []
        self.loop.faulted = self._faulted
        settings = Settings(
            workers=self.random.randint(1, 3),
            start_timeout=5,
            memory_limit=f"{LIMIT}B" if self.random.random() < 0.5 else None,
            recycle_after=self.random.choice([None, None, 5]),
        )
        loading = Loading(python="python", entry="a:b", handler="b", directory="/")
        self.pool = Pool(self.loop, loading, settings, Path("/r/api/nectar/runtime/start.py"), "owner", self.machine)
        self.asked: list[Asked] = []
        self.open: dict[int, Asked] = {}
        self.stopped = False
        self.stopping = False
        self.seen: Counter[str] = Counter()
        self._steps = [
            *[self._ask] * 6,
            *[self._act] * 12,
            *[self._deliver] * 8,
            *[self._pass] * 3,
            self._interrupt,
            self._reap,
            self._misbehave,
        ]
        self.pool.start()

    def run(self, steps: int = EPISODE) -> None:
        """Go that many steps, calm down, stop, and look at what became of everything."""
        random, kinds, count = self.random.random, self._steps, len(self._steps)
        for _ in range(steps):
            kinds[int(random() * count)]()
        if self.random.random() < 0.5:
            self._calm_down()
            assert not self.open, f"no outcome ever: {[*self.open.values()]}, {self.pool.workers}"
        self.stopping = True
        self.pool.stop(self.random.choice([0, 1, 30]), self._stopped)
        for _ in range(40):
            kinds[int(random() * count)]()
        self._calm_down()
        assert self.stopped, f"it never stopped: {self.pool.workers}"
        assert not self.open, f"no outcome at the stop: {[*self.open.values()]}"
        assert not any(process.alive for process in self.machine.processes.values()), "a process was left"
        assert not self.machine.orphans, "a process of a process was left"

    # --- what happens

    def _ask(self) -> None:
        if self.pool.free and not self.stopping:
            number = len(self.asked)
            asked = Asked(number, self.random.choice(ALIASES), self.random.choice([0.05, 1, 30]), self.machine.now)
            self.asked.append(asked)
            self.open[number] = asked
            self.pool.run(
                Job(asked.alias, str(number), b"{}", 0.0, asked.deadline, lambda outcome: self._done(asked, outcome), number)
            )

    def _act(self) -> None:
        """Have a process do what is next for it: dying or not, while it lives it may."""
        process = self._some_process()
        if process is None or process.closed:
            return
        random = self.random
        if process.current is not None:
            if random.random() < 0.6:
                self._answer(process)
            return
        header = self.machine.receive(process)
        if header is None:
            return
        match header["do"]:
            case "load":
                way = random.random()
                if way < 0.9:
                    self.machine.send(process, '{"do": "ready", "warnings": []}')
                elif way < 0.95:
                    self.machine.send(process, '{"do": "failed", "message": "no", "where": null, "hint": null, "detail": null}')
                    self.machine.end(process, 1)
                # else it loads for ever
            case "run":
                process.current = header["job"], header["comp_id"]
                if random.random() < 0.7:
                    self._answer(process)
            case "stop":
                self.machine.end(process, 0)

    def _answer(self, process: Process) -> None:
        assert process.current is not None
        job, comp_id = process.current
        process.current = None
        self.machine.send(
            process,
            f'{{"do": "answer", "job": {job}, "status": "success", "value": {int(comp_id) * 7}, '
            '"error": null, "traceback": null, "seconds": 0.1}',
        )

    def _deliver(self) -> None:
        watched = self.machine.watched()
        if watched:
            self.machine.ready = watched if self.random.random() < 0.5 else [self.random.choice(watched)]
            self.loop.turn()

    def _pass(self) -> None:
        """Let time pass: a little, or until after the next thing that is due."""
        self.machine.now += self.random.choice([0.001, 0.02, 0.06, 0.3, 1.0])
        self.machine.take_effect()
        self.loop.turn()

    def _reap(self) -> None:
        self.pool.reap()
        for pid, process in [*self.machine.processes.items()]:
            if process.waited and not any(str(number) in process.begun for number in self.open):
                del self.machine.processes[pid]

    def _interrupt(self) -> None:
        if self.random.random() < 0.1:
            alias = self.random.choice(ALIASES)
            for asked in self.open.values():
                if asked.alias == alias:
                    asked.interrupted = True
            self.pool.interrupt(alias)

    def _misbehave(self) -> None:
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

    def _calm_down(self) -> None:
        """From here on nothing fails, and what is to happen happens: until nothing more is due for any job, and then some."""
        self.machine.calm = True
        for _ in range(400):
            for process in self.machine.processes.values():
                if process.alive and process.current is not None and not process.closed:
                    self._answer(process)
            for _ in range(3):
                self._act()
            self.machine.ready = self.machine.watched()
            self.loop.turn()
            self.machine.now += 0.5
            self.machine.take_effect()
            self.loop.turn()
            self._look()
            if self.stopped or not (self.open or self.stopping):
                break
        self.machine.calm = False

    def _look(self) -> None:
        """What holds at any moment between two calls."""
        missing = self.open.keys() - self.pool.keys
        assert not missing, f"nobody runs {missing}"

    # --- what comes out

    def _stopped(self) -> None:
        assert not self.stopped, "it stopped twice"
        self.stopped = True

    def _faulted(self, error: Exception) -> None:
        assert isinstance(error, OSError), repr(error)  # the machine's own
        self.seen["fault"] += 1

    def _done(self, asked: Asked, outcome: Outcome | None) -> None:
        asked.outcomes.append(outcome)
        assert len(asked.outcomes) == 1, f"{asked} has two outcomes"
        del self.open[asked.number]
        comp_id = str(asked.number)
        had = [process for process in self.machine.processes.values() if comp_id in process.begun]
        if outcome is None:
            assert asked.interrupted or self.stopping, f"{asked} was let go of by nobody's word"
            self.seen["none"] += 1
        elif outcome.status == "success":
            assert outcome.value == asked.value, f"{asked} has another's answer: {outcome}"
            self.seen["success"] += 1
        elif outcome.status == "timeout":
            took = self.machine.now - asked.given
            assert took >= asked.deadline, f"{asked} was overdue after {took} s"
            self.seen["timeout"] += 1
        else:
            assert had, f"{asked} was never given to a worker: {outcome}"
            _words, kind, did = next(way for way in WAYS if way[0] in str(outcome.error))
            assert any(map(did, had)), f"{asked} has an error for what no worker of its did: {outcome}"
            self.seen[kind] += 1
