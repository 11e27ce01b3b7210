"""The pool against its model: every job has exactly one outcome, and it is its own.

The real pool runs on a machine in the test's hand. Each step makes one thing happen, in random order: a job is given, a worker reads,
answers, prints, leaks, dies or says nonsense, a kill takes effect, a signal of a child's end comes or does not, time passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, cast

from nectar.protocol import EntryPoint, Loading
from nectar.runtime.daemon.job import Job, Outcome
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.workers.pool import Pool
from nectar.settings import Settings
from tests.soak.machine import LIMIT, Machine
from tests.soak.workers_model import Workers, blame

if TYPE_CHECKING:
    import selectors

    from nectar.runtime.daemon.job import Failure

ALIASES = ("one", "two", "three")
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
        self.workers = Workers(self.random, self.machine)
        self.loop = Loop(self.machine.clock, cast("selectors.BaseSelector", self.machine))
        self.faults: list[Exception] = []
        self.loop.faulted = self._faulted
        self.concurrency = self.random.choice([1, 1, 2, 4])
        settings = Settings(
            workers=self.random.randint(1, 3),
            concurrency=self.concurrency,
            start_timeout=5,
            memory_limit=f"{LIMIT}B" if self.random.random() < 0.5 else None,
            overlap=self.random.random() < 0.7,
            recycle_after=self.random.choice([None, None, 5]),
        )
        loading = Loading(python="python", entry=EntryPoint("b", "a:b"), directory="/")
        self.pool = Pool(self.loop, loading, settings, "/r/api/nectar/runtime/start.py", "owner", self, self.machine)
        self.asked: list[Asked] = []
        self.open: dict[int, Asked] = {}
        self.stopped = False
        self.stopping = False
        self.seen: Counter[str] = Counter()
        self._steps = [
            *[self._ask] * 6,
            *[self.workers.act] * 12,
            *[self._deliver] * 8,
            *[self._pass] * 3,
            self._interrupt,
            self._reap,
            self.workers.misbehave,
        ]
        self.told: list[str] = []
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
        assert not self.machine.orphans or self.told, "a process of a process was left, and nobody was told"

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
            self.seen["together"] += max(len(worker.runs) for worker in self.pool.workers) > 1
            self.seen["waited"] += len(self.open) > sum(len(worker.runs) for worker in self.pool.workers)

    def _deliver(self) -> None:
        self.workers.deliver(self.loop)

    def _pass(self) -> None:
        self.workers.let_pass(self.loop)

    def _reap(self) -> None:
        self.loop.guarded(self.pool.reap)()
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

    def _calm_down(self) -> None:
        """From here on nothing fails, and what is to happen happens: until nothing more is due for any job, and then some."""
        self.machine.calm = True
        for _ in range(400):
            self.workers.settle(self.loop)
            self._look()
            if self.stopped or not (self.open or self.stopping):
                break
        self.machine.calm = False

    def _look(self) -> None:
        """What holds at any moment between two calls."""
        missing = self.open.keys() - self.pool.keys
        assert not missing, f"nobody runs {missing}"

    # --- what comes out

    def ready(self, warnings: list[str]) -> None:
        pass

    def failed(self, failure: Failure) -> None:
        pass

    def printed(self, lines: list[str], whose: str = "") -> None:
        pass

    def hook_failed(self, what: str, detail: str | None = None, job: Job | None = None) -> None:
        self.seen["failed after" if "failed" in what else "cut off"] += 1

    def warn(self, text: str, job: Job | None = None) -> None:
        if "do not end" in text:
            self.told.append(text)

    def _stopped(self) -> None:
        assert not self.stopped, "it stopped twice"
        self.stopped = True

    def _faulted(self, error: Exception) -> None:
        assert isinstance(error, (OSError, MemoryError)), repr(error)  # the machine's own
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
            self.seen[blame(outcome.error, had)] += 1
