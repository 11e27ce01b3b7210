"""The jobs that one worker works on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.runtime.daemon.job import Job
    from nectar.runtime.daemon.loop import Loop, Timer


class Run:
    """A job that a worker was sent.

    :ivar number: what the worker calls it.
    :ivar started: monotonic seconds at which it was sent.
    :ivar overdue: whether its worker was told to end it, because it overstayed its deadline.
    :ivar interrupted: whether nobody wants its outcome any more.
    """

    __slots__ = ("interrupted", "job", "number", "overdue", "started", "timer")

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.number = number
        self.started = 0.0
        self.timer: Timer | None = None
        self.overdue = False
        self.interrupted = False


class Runs:
    """What a worker was sent and has not answered, in this order.

    :param overstays: called with a run that is not answered by its deadline, which counts from when it was sent.
    :ivar took: seconds until the last answer came; infinite where none has come yet.
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

    def add(self, job: Job, number: int) -> None:
        run = Run(job, number)
        self._all.append(run)
        self._begin(run)

    def remove(self, number: object) -> Run | None:
        """Take one away that is answered; None where it works on none with this number."""
        for run in self._all:
            if run.number == number:
                break
        else:
            return None
        self._forget(run)
        self.took = self._loop.now() - run.started
        return run

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
        if run.timer is not None:
            run.timer.cancel()
