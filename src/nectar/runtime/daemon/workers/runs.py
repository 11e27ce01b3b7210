"""The jobs that one worker works on."""

from __future__ import annotations

import math

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.runtime.daemon.job import Job
    from nectar.runtime.daemon.loop import Loop, Timer


class Run:
    """A job that a worker was sent.

    :ivar number: what the worker calls it.
    :ivar started: monotonic seconds at which it was sent.
    :ivar answered: whether its outcome is known, and its worker only looks after it (``nectar_answered``).
    :ivar overdue: whether its worker was told to end it, because it overstayed its deadline, or because that looks after it for too long.
    :ivar interrupted: whether nobody wants its outcome any more.
    """

    __slots__ = ("answered", "interrupted", "job", "number", "overdue", "started", "timer")

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.number = number
        self.started = 0.0
        self.timer: Timer | None = None
        self.answered = False
        self.overdue = False
        self.interrupted = False


class Runs:
    """What a worker was sent and is not free of again, in this order.

    :param overstays: called with a run that is not answered by its deadline, which counts from when it was sent, or is answered, and
        looked after for too long.
    :ivar took: seconds until the worker was free of the last one; infinite where there was none yet.
    :ivar nears: called before that, ``lead`` seconds or half of the time that the run has; where there are no seconds, never.
    """

    def __init__(self, loop: Loop, overstays: Callable[[Run], None]) -> None:
        self.took = math.inf
        self.lead = 0.0
        self.nears: Callable[[], None] = lambda: None
        self._loop = loop
        self._overstays = overstays
        self._all: list[Run] = []

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._all)

    @property
    def seconds(self) -> float:
        """For how long it has worked on the oldest of them."""
        return self._loop.now() - self._all[0].started if self._all else 0.0

    def name_one(self) -> str:
        """What the oldest of them is called; nothing, where there is none."""
        return self._all[0].job.name if self._all else ""

    def add(self, job: Job, number: int) -> None:
        run = Run(job, number)
        self._all.append(run)
        self._begin(run)

    def find(self, number: object, *, answered: bool = False) -> Run:
        """The one with this number.

        :param answered: whether it must be answered, or not be.
        :raises ValueError: there is none.
        """
        for run in self._all:
            if run.number == number and run.answered is answered:
                return run
        raise ValueError("it has no such job")

    def keep(self, run: Run, seconds: float) -> None:
        """Keep one that is answered, for so many seconds at most."""
        self._cancel(run)
        run.answered, run.overdue = True, False
        run.timer = self._loop.later(seconds, lambda: self._overstays(run))

    def remove(self, run: Run) -> None:
        """Take one away that the worker is free of."""
        self._forget(run)
        self.took = self._loop.now() - run.started

    def clear(self) -> list[Run]:
        """Take all away."""
        left = self._all.copy()
        for run in left:
            self._forget(run)
        return left

    def _begin(self, run: Run) -> None:
        run.started = self._loop.now()
        lead = min(self.lead, run.job.deadline / 2)

        def near() -> None:
            run.timer = self._loop.later(lead, overstay)
            self.nears()

        def overstay() -> None:
            self._overstays(run)

        run.timer = self._loop.later(run.job.deadline - lead, near if lead else overstay)

    def _forget(self, run: Run) -> None:
        self._all.remove(run)
        self._cancel(run)

    @staticmethod
    def _cancel(run: Run) -> None:
        if run.timer is not None:
            run.timer.cancel()
