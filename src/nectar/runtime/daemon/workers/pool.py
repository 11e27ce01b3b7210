"""The workers of one handler: kept warm, given one computation at a time, ended and replaced when they die, overstay or are worn."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nectar.runtime.daemon.job import Failure, Job, Outcome, failure, outcome
from nectar.runtime.daemon.workers.kernel import BREATH, SHORTAGES, System
from nectar.runtime.daemon.workers.leftovers import Leftovers
from nectar.runtime.daemon.workers.worker_process import End, State, Worded, Worker, how, spawn
from nectar.runtime.frames import MAX_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nectar.protocol import Loading
    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.runtime.daemon.workers.kernel import Kernel
    from nectar.settings import Settings

LONGEST_PAUSE = 60.0
"""Seconds between two tries to start a worker, at most; the first pause is one second, each further one twice as long."""
STOPPING_TIME = 1.0
"""Seconds for a worker's farewell (``nectar_worker_stopping``)."""
MEMORY_ROUND = 0.1
"""Seconds between two looks at the memory of workers that have a limit."""
MEMORY_GRACE = 0.2
"""Seconds of a run before its memory is looked at: a worker that has grown over many runs is replaced between two of them."""
EARLY_DEATHS = 3
"""Workers that died in a row with nothing to do and nothing done, after which the next one has to wait."""
LIVES = 2.0
"""Seconds after which a worker that has loaded the handler is no early death any more."""
MAX_WARNINGS = 20
LOOK = 1.0
"""Seconds between two looks at what no signal told."""
LAST_WORDS = 1.0
"""Seconds in which what a dead worker said must have been read, where the machine has too little of something to do so."""


@dataclass
class Events:
    """Whom the pool tells: each may be replaced by who made it."""

    ready: Callable[[list[str]], None] = lambda _warnings: None
    failed: Callable[[Failure], None] = lambda _failure: None
    printed: Callable[[list[str]], None] = lambda _lines: None
    dropped: Callable[[int], None] = lambda _count: None
    died: Callable[[str], None] = lambda _how: None


class Pool:
    """A worker that is being ended gets nothing to do any more, however long its end takes, and its last answer counts.

    :param script: ``start.py`` of the runtime.
    :param owner: what marks the processes of this handler, see :mod:`nectar.processes`.
    :param limits: what workers get of limits that this process has raised for itself, see :mod:`nectar.inherited`.

    :ivar warnings: what the worker that was ready last said of how it runs.
    :ivar last_failure: why no worker could be made ready the last time, until one is.
    """

    def __init__(
        self,
        loop: Loop,
        loading: Loading,
        settings: Settings,
        script: Path,
        owner: str,
        kernel: Kernel | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.events = Events()
        self.failures = 0
        self.last_failure: Failure | None = None
        self.warnings: list[str] = []
        self._loop = loop
        self._loading = loading
        self._settings = settings
        self._memory = settings.memory_bytes
        self._script = script
        self._owner = owner
        self._kernel = kernel or System()
        self._limits = dict(limits or {})
        self._workers: dict[int, Worker] = {}
        self._again: deque[Job] = deque()
        self._stopped: Callable[[], None] | None = None
        self._pause: Timer | None = None
        self._jobs = 0
        self._early_deaths = 0
        self._left = Leftovers(loop, self._kernel, self._tell, self._go_on)
        self._ended = False
        loop.later(LOOK, self._look)
        if self._memory is not None:
            loop.later(MEMORY_ROUND, self._watch_memory)

    @property
    def workers(self) -> list[Worker]:
        return list(self._workers.values())

    @property
    def free(self) -> bool:
        """Whether a job can be given now."""
        return self._stopped is None and any(worker.state is State.IDLE for worker in self._workers.values())

    @property
    def running(self) -> Counter[str]:
        """How many jobs run, by alias."""
        return Counter(worker.job.alias for worker in self._workers.values() if worker.job is not None)

    @property
    def keys(self) -> set[object]:
        """Of all jobs whose outcome is still to come."""
        return {job.key for job in (*(worker.job for worker in self._workers.values()), *self._again) if job is not None}

    def start(self) -> None:
        """Start as many workers as are missing."""
        # Not while unmarked children are being ended, of which a new worker would seem to be one.
        while (
            self._stopped is None and self._pause is None and None not in self._left and len(self._workers) < self._settings.workers
        ):
            try:
                self._start_one()
            except OSError as error:
                short = error.errno in SHORTAGES
                self._failed(self._why_not_started(error), count=1 if short else None)

    def run(self, job: Job) -> None:
        """Give a job to an idle worker; there must be one (:attr:`free`)."""
        worker = next(worker for worker in self._workers.values() if worker.state is State.IDLE)
        self._jobs += 1
        worker.state = State.BUSY
        worker.job = job
        worker.number = self._jobs
        worker.started = self._loop.now()
        worker.timer = self._loop.later(job.deadline, lambda: worker.kill(End.OVERDUE))
        worker.channel.send({"do": "run", "job": self._jobs, "comp_id": job.comp_id, "timestamp": job.timestamp}, job.body)

    def interrupt(self, alias: str) -> bool:
        """End the workers that run something for an alias; such a run gets no outcome, but for an answer that came before its end.

        :returns: whether something still runs for it: an end takes effect when it does.
        """
        for job in [job for job in self._again if job.alias == alias]:
            self._again.remove(job)
            job.done(None)
        running = [worker for worker in self.workers if worker.job is not None and worker.job.alias == alias]
        for worker in running:
            worker.kill(End.STOPPED)
        return bool(running)

    def stop(self, timeout: float, stopped: Callable[[], None]) -> None:
        """Let what runs finish, at most ``timeout`` seconds, say farewell, and end all workers.

        Called again, it may shorten the time.

        :param stopped: called when there is none left.
        """
        self._loop.later(timeout, self._hurry)
        if self._stopped is not None:
            return
        self._stopped = stopped
        while self._again:
            self._again.popleft().done(None)
        for worker in self.workers:
            if worker.state is State.LOADING:
                worker.kill(End.STOPPED)
            elif worker.state is State.IDLE:
                self._dismiss(worker)
        self._maybe_stopped()

    def reap(self) -> None:
        """Collect the children that have ended; to be called at SIGCHLD, which may get lost."""
        for pid in self._kernel.ended():
            worker = self._workers.get(pid)
            if worker is not None:
                # Its group first: while it is not waited for, the number of its group cannot be anybody else's.
                self._kernel.signal(pid)
            status = self._kernel.wait(pid)
            if worker is not None:
                worker.gone = True
                worker.state = State.ENDING
                self._died(worker, status, self._loop.now() + LAST_WORDS)

    def _look(self) -> None:
        """Once a second: notice what nobody told."""
        if self._stopped is None or self._workers or self._left:
            self._loop.later(LOOK, self._look)
        self.reap()
        self._go_on()

    def _start_one(self) -> None:
        events = self.events
        words = Worded(self._received, events.printed, events.dropped)
        worker = spawn(self._loop, self._kernel, self._loading, self._script, self._owner, words)
        self._workers[worker.pid] = worker
        worker.timer = self._loop.later(self._settings.start_timeout, lambda: worker.kill(End.SLOW))
        worker.channel.send(
            {
                "do": "load",
                "parent": os.getpid(),
                "entry": self._loading.entry,
                "handler": self._loading.handler,
                "plugins": self._loading.plugins,
                "snapshot": self._loading.snapshot,
                "pluggy": str(self._script.parents[3] / "deps" / "pluggy"),
                "memory": self._memory,
                "limits": self._limits,
                "directory": self._loading.directory,
            },
        )

    def _received(self, worker: Worker, header: dict[str, Any]) -> None:
        match header["do"], worker.state:
            case "ready", State.LOADING:
                warnings = [str(text)[:MAX_ERROR] for text in list(header["warnings"])[:MAX_WARNINGS]]
                if self._memory is not None and worker.resident() > self._memory:
                    worker.kill(End.MEMORY)
                    return
                worker.loaded = True
                self.failures = 0
                if self._early_deaths < EARLY_DEATHS:
                    self.last_failure = None
                else:
                    self._loop.later(LIVES, lambda: self._lives(worker))
                self._rest(worker)
                self.warnings = warnings
                self.events.ready(warnings)
            case "ready", State.ENDING if not worker.loaded:
                worker.loaded = worker.gone  # it was, when it ended by itself; that it is not to be waited for is known already
            case "failed", State.LOADING | State.ENDING if not worker.loaded:
                worker.failure = failure(header)
            case "answer", State.BUSY | State.ENDING if worker.job is not None and header["job"] == worker.number:
                job, became = worker.job, outcome(header)
                worker.answered += 1
                self._early_deaths = 0
                self.last_failure = None
                self._rest(worker)
                job.done(became)
            case _:
                raise ValueError(header["do"])

    def _lives(self, worker: Worker) -> None:
        """One that came after many early deaths is not the next of them."""
        if worker.state is not State.DEAD:
            self._early_deaths = 0
            self.last_failure = None

    def _rest(self, worker: Worker) -> None:
        """It has nothing to do: let it go where it is not wanted any more, or give it what was not begun elsewhere."""
        worker.rest()
        if worker.state is not State.IDLE:
            return
        if self._stopped is not None or self._worn(worker):
            self._dismiss(worker)
        elif self._again:
            self.run(self._again.popleft())

    def _worn(self, worker: Worker) -> bool:
        """Whether a new one is to take its place."""
        after = self._settings.recycle_after
        if after is not None and worker.answered >= after:
            return True
        return self._memory is not None and worker.resident() > self._memory

    def _watch_memory(self) -> None:
        if self._stopped is None or self._workers:
            self._loop.later(MEMORY_ROUND, self._watch_memory)
        for worker in self.workers:
            ending = worker.state in (State.STOPPING, State.ENDING)
            if ending or self._memory is None or worker.resident() <= self._memory:
                continue
            if worker.state is State.IDLE:
                self._dismiss(worker)
            elif worker.state is State.LOADING or self._loop.now() - worker.started >= MEMORY_GRACE:
                worker.kill(End.MEMORY)

    def _dismiss(self, worker: Worker) -> None:
        worker.state = State.STOPPING
        worker.dismissed = True
        worker.timer = self._loop.later(STOPPING_TIME, lambda: worker.kill(End.STOPPED))
        worker.channel.send({"do": "stop"})

    def _hurry(self) -> None:
        for worker in self.workers:
            worker.kill(End.STOPPED)

    def _died(self, worker: Worker, status: int, end: float) -> None:
        """:param end: monotonic seconds until which its last words are waited for."""
        if not worker.channel.drain() and self._loop.now() < end:  # its last answer may be in there
            self._loop.later(BREATH, lambda: self._died(worker, status, end))
            return
        del self._workers[worker.pid]
        self._left.clear(worker.token)
        if not self._workers:
            # With no other worker there, whatever has become a child of this process is of this one, marked or not.
            self._left.clear(None)
        worker.bury()
        by_itself = worker.ended_by_us in (None, End.CLOSED, End.NONSENSE)
        if not worker.loaded:
            if self._stopped is None:
                self._failed(worker.failure or self._why_not_ready(worker, status))
        elif worker.job is not None and _is_innocent(worker):
            if self._stopped is None:
                self._again.append(worker.job)
            else:
                worker.job.done(None)
            if by_itself:
                self._died_idle(worker, status)
        elif worker.job is not None:
            self._lost(worker, worker.job, status)
        elif by_itself and not worker.dismissed:
            self._died_idle(worker, status)
        self._go_on()

    def _go_on(self) -> None:
        """Do what a change of the workers makes possible."""
        self.start()
        while self._again and self.free:
            self.run(self._again.popleft())
        self._maybe_stopped()

    def _tell(self, text: str) -> None:
        self.events.died(text)

    def _lost(self, worker: Worker, job: Job, status: int) -> None:
        seconds = self._loop.now() - worker.started
        match worker.ended_by_us:
            case End.STOPPED:
                job.done(None)
            case End.OVERDUE:
                job.done(Outcome("timeout", error=f"The handler did not answer within {job.deadline:g} s.", seconds=seconds))
            case None:
                job.done(Outcome("error", error=f"The worker {how(status)} before it had an answer.", seconds=seconds))
            case why:
                job.done(Outcome("error", error=f"The worker was ended: {why.value}{self._beyond(why)}.", seconds=seconds))

    def _died_idle(self, worker: Worker, status: int) -> None:
        self.events.died(f"An idle worker {how(status)}.")
        self._early_deaths = 0 if worker.answered else self._early_deaths + 1
        if self._early_deaths >= EARLY_DEATHS and self._stopped is None:
            failure = Failure(f"A worker {how(status)} after it had loaded the handler, again and again.")
            self._failed(failure, count=self._early_deaths - EARLY_DEATHS + 1)

    def _why_not_started(self, error: OSError) -> Failure:
        python = self._loading.python
        if not os.path.exists(python):
            return Failure(
                f"The Python of the handler's environment is not there any more: {os.path.realpath(python)}.",
                hint="nectar restart takes one that is there.",
            )
        return Failure(f"A worker cannot be started: {error.strerror}.", where=error.filename)

    def _why_not_ready(self, worker: Worker, status: int) -> Failure:
        if worker.ended_by_us is End.SLOW:
            return Failure(
                f"The handler was not loaded within {self._settings.start_timeout:g} s.",
                hint="Raise start_timeout under [tool.nectar], or load less at import.",
            )
        if worker.ended_by_us is End.MEMORY:
            return Failure(
                f"The handler took too much memory while it was loaded{self._beyond(End.MEMORY)}.",
                hint="Raise memory_limit under [tool.nectar], or load less at import.",
            )
        if worker.ended_by_us is End.FAULT:
            return Failure(f"A worker could not be used: {End.FAULT.value}.", hint="The log says how.")
        return Failure(f"The worker {how(status)} while it loaded the handler.")

    def _beyond(self, why: End) -> str:
        return f" (memory_limit is {self._settings.memory_limit})" if why is End.MEMORY else ""

    def _failed(self, why: Failure, *, count: int | None = None) -> None:
        """Wait before the next try.

        :param count: which failure in a row this is, for the length of the pause; None counts it.
        """
        if count is None:
            self.failures += 1
            count = self.failures
        self.last_failure = why

        def again() -> None:
            self._pause = None
            self.start()

        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._loop.later(min(LONGEST_PAUSE, 2.0 ** min(count - 1, 10)), again)
        self.events.failed(why)

    def _maybe_stopped(self) -> None:
        if self._stopped is not None and not self._ended and not self._workers and not self._left:
            self._ended = True
            self._stopped()


def _is_innocent(worker: Worker) -> bool:
    """Whether that it ended says nothing of its job: it had not read all of the question, or it was nectar that failed."""
    return worker.ended_by_us is End.FAULT or (worker.channel.unread and worker.ended_by_us not in (End.OVERDUE, End.STOPPED))
