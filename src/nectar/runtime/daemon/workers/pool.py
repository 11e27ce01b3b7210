"""The workers of one handler: kept warm, given what they have room for, ended and replaced when they die, overstay or are worn."""

from __future__ import annotations

from collections import deque

from nectar.runtime.daemon.job import Job, read_complaint, read_failure, read_outcome, read_warnings
from nectar.runtime.daemon.workers import ends
from nectar.runtime.daemon.workers.choice import choose_worker, is_soon_free
from nectar.runtime.daemon.workers.ends import AFTERWARDS, SHARED, Cause
from nectar.runtime.daemon.workers.kernel import BREATH, LAST_WORDS, SHORTAGES, System
from nectar.runtime.daemon.workers.leftovers import Leftovers
from nectar.runtime.daemon.workers.memory import Memory
from nectar.runtime.daemon.workers.pauses import LONGEST_PAUSE, WITH_ENGINE, Pauses
from nectar.runtime.daemon.workers.successors import Successors
from nectar.runtime.daemon.workers.worker_process import State, Worker, order_to_load, spawn
from nectar.runtime.frames import ENGINE_LOST, FAREWELL_FAILED, describe_status

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from nectar.protocol import Loading
    from nectar.runtime.daemon.job import Failure, Outcome
    from nectar.runtime.daemon.loop import Loop
    from nectar.runtime.daemon.workers.kernel import Kernel
    from nectar.runtime.daemon.workers.listener import Listener
    from nectar.runtime.daemon.workers.runs import Run
    from nectar.settings import Settings

STOPPING_TIME = 1.0
"""Seconds for a worker's farewell (``nectar_worker_stopping``)."""


class Pool:
    """A worker that is being ended gets nothing to do any more, however long its end takes, and its last answer counts.

    :param script: ``start.py`` of the runtime.
    :param owner: what marks the processes of this handler, see :mod:`nectar.processes`.
    :param limits: what workers get of limits that this process has raised for itself, see :mod:`nectar.inherited`.

    :ivar warnings: what the worker that was ready last said of how it runs; ``started`` is how many workers there were.
    """

    def __init__(
        self,
        loop: Loop,
        loading: Loading,
        settings: Settings,
        script: str,
        owner: str,
        listener: Listener,
        kernel: Kernel | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self.warnings: list[str] = []
        self.started = 0
        self._loop = loop
        self._loading = loading
        self._settings = settings
        self._script = script
        self._owner = owner
        self._listener = listener
        self._kernel = kernel or System()
        self._limits = dict(limits or {})
        self._workers: dict[int, Worker] = {}
        self._waiting: deque[Job] = deque()
        self._stopped: Callable[[], None] | None = None
        self._given = 0
        self._pauses = Pauses(loop, listener, self.start, WITH_ENGINE if loading.engine.get("dask") else LONGEST_PAUSE)
        self._left = Leftovers(loop, self._kernel, listener, self._go_on)
        self._successors = Successors(loop, self._kernel, self._workers, self._start_one, self._dismiss)
        self._ended = False
        loop.at_beat(self._look)
        self._memory = Memory(loop, settings.memory_bytes, lambda: None if self._ended else self.workers, self._dismiss)

    @property
    def workers(self) -> list[Worker]:
        return list(self._workers.values())

    @property
    def free(self) -> bool:
        """Whether a job can be given now: to a worker, or to wait for one that is about to answer."""
        if self._stopped is not None or self._waiting:
            return False
        return self._choose() is not None or is_soon_free(self._workers.values(), self._settings)

    @property
    def last_failure(self) -> Failure | None:
        """Why no worker could be made ready the last time, until one is."""
        return self._pauses.last_failure

    def running(self, alias: str) -> int:
        """How many jobs there are for an alias, with those that are answered and still have a place in a worker."""
        return sum(job.alias == alias for job in (*(run.job for run in self._runs), *self._waiting))

    @property
    def keys(self) -> set[object]:
        """Of all jobs whose outcome is still to come."""
        return {job.key for job in (*(run.job for run in self._runs if not run.answered), *self._waiting)}

    @property
    def _runs(self) -> Iterator[Run]:
        return (run for worker in self._workers.values() for run in worker.runs)

    @property
    def _missing(self) -> bool:
        return sum(not worker.spare for worker in self._workers.values()) < self._settings.workers

    def start(self) -> None:
        """Start as many workers as are missing."""
        # Not while unmarked children are being ended, of which a new worker would seem to be one.
        while not (self._stopped or self._pauses or None in self._left) and self._missing:
            try:
                self._start_one()
            except OSError as error:
                failed = self._pauses.fell_short if error.errno in SHORTAGES else self._pauses.failed
                failed(ends.explain_no_start(error, self._loading.python))

    def run(self, job: Job) -> None:
        """Give a job to a worker; where none takes it now, to the first that does."""
        worker = self._choose(alone=job.alone)
        if worker is None:
            self._waiting.append(job)
        else:
            self._give(worker, job)

    def _give(self, worker: Worker, job: Job) -> None:
        self._given += 1
        worker.runs.add(job, self._given)
        worker.state = State.BUSY
        header = {"do": "run", "job": self._given, "comp_id": job.comp_id, "timestamp": job.timestamp, "deadline": job.deadline}
        worker.channel.send(header if self._settings.concurrency == 1 else {**header, "name": job.name}, job.body)

    def interrupt(self, alias: str) -> bool:
        """End the workers that run something for an alias; such a run gets no outcome, but for an answer that came before its end.

        :returns: whether something still runs for it: an end takes effect when it does.
        """
        for job in [job for job in self._waiting if job.alias == alias]:
            self._waiting.remove(job)
            job.done(None)
        ours = [(worker, run) for worker in self.workers for run in worker.runs if run.job.alias == alias and not run.answered]
        for worker, run in ours:
            run.interrupted = True
            self._end_interrupted(worker)
        return bool(ours)

    def stop(self, timeout: float, stopped: Callable[[], None]) -> None:
        """Let what runs finish, at most ``timeout`` seconds, say farewell, and end all workers.

        Called again, it may shorten the time.

        :param stopped: called when there is none left.
        """
        self._loop.later(timeout, self._hurry)
        if self._stopped is not None:
            return
        self._stopped = stopped
        while self._waiting:
            self._waiting.popleft().done(None)
        for worker in self.workers:
            if worker.state is State.LOADING:
                worker.kill(Cause.STOPPED)
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
            self._loop.at_beat(self._look)
        self.reap()
        for worker in self.workers:
            if self._kernel.is_crowded(worker.pid):
                worker.kill(Cause.CROWDED)
        self._go_on()

    def _start_one(self, beside: Worker | None = None) -> None:
        """:param beside: whom it is to succeed."""
        worker = spawn(self._loop, self._kernel, self._loading, self._script, self._owner, self._listener, self._received)
        worker.printed.is_marked = self._settings.concurrency > 1
        worker.beside, worker.early = beside, beside is not None
        worker.runs.nears = lambda: self._foresee(worker)
        self._workers[worker.pid] = worker
        self.started += 1
        worker.timer = self._loop.later(self._settings.start_timeout, lambda: worker.kill(Cause.SLOW))
        bounds = {"slots": self._settings.concurrency, "memory": self._memory.limit, "limits": self._limits}
        worker.channel.send({**order_to_load(self._loading, self._script), **bounds})

    def _foresee(self, worker: Worker) -> None:
        if self._stopped is None and not self._pauses and None not in self._left:
            self._successors.foresee(worker)

    def _received(self, worker: Worker, header: dict[str, Any]) -> None:
        worker.printed.catch_up()  # what was printed before it
        if header["do"] == "answer" and worker.state in (State.BUSY, State.ENDING):
            self._answered(worker, read_outcome(header), header["job"])
            return
        match header["do"], worker.state:
            case "free", State.BUSY | State.ENDING:
                self._looked_after(worker, header)
            case "ready", State.LOADING:
                warnings = read_warnings(header)
                if self._memory.is_exceeded(worker):
                    worker.kill(Cause.MEMORY)
                    return
                worker.loaded = True
                worker.cancels = header.get("cancels") is True
                worker.frees = header.get("frees") is True
                if self._settings.overlap and not worker.cancels:
                    worker.runs.lead = self._loop.now() - worker.started
                self._pauses.loaded(lambda: worker.state is not State.DEAD)
                self._rest(worker)
                self.warnings = warnings
                self._listener.ready(warnings)
            case "ready", State.ENDING if not worker.loaded:
                # One that has ended by itself was ready; one that did not load in time is not, though it says so before its end.
                worker.loaded = worker.gone and worker.cause is Cause.ITSELF
            case "failed", State.LOADING | State.ENDING if not worker.loaded:
                worker.failure = read_failure(header)
            case _:
                raise ValueError(header["do"])

    def _answered(self, worker: Worker, outcome: Outcome, number: object) -> None:
        run = worker.runs.find(number)
        if worker.cancels and run.overdue and outcome.status == "error":
            outcome = ends.explain_no_answer(run.job, Cause.OVERDUE, 0, self._settings, self._loop.now() - run.started)
        self._pauses.reset()
        self._successors.release(worker)
        if worker.frees:
            worker.runs.keep(run, AFTERWARDS)
        else:
            self._set_free(worker, run)
        run.job.done(outcome)

    def _looked_after(self, worker: Worker, header: dict[str, Any]) -> None:
        run = worker.runs.find(header["job"], answered=True)
        error, traceback = read_complaint(header)
        self._set_free(worker, run)
        if error is not None:
            self._listener.hook_failed(f"nectar_answered failed: {error}", traceback, run.job)

    def _set_free(self, worker: Worker, run: Run) -> None:
        worker.runs.remove(run)
        worker.answered += 1
        self._rest(worker)

    def _rest(self, worker: Worker) -> None:
        """It has done something: let it go where it is not wanted any more, or give it what was not begun elsewhere."""
        worker.rest()
        worker.worn = worker.worn or self._worn(worker)
        if worker.state is State.IDLE and (self._stopped is not None or worker.worn):
            self._dismiss(worker)
        else:
            self._end_interrupted(worker)
            self._hand_out()

    def _choose(self, *, alone: bool = False) -> Worker | None:
        return choose_worker(self._workers.values(), self._settings, alone=alone)

    def _hand_out(self) -> None:
        """Have run what no worker took, or did not finish."""
        while self._waiting and (worker := self._choose(alone=self._waiting[0].alone)) is not None:
            self._give(worker, self._waiting.popleft())

    def _end_interrupted(self, worker: Worker) -> None:
        if any(run.interrupted for run in worker.runs):
            worker.kill(Cause.STOPPED)

    def _worn(self, worker: Worker) -> bool:
        """Whether a new one is to take its place."""
        after = self._settings.recycle_after
        return (after is not None and worker.answered >= after) or self._memory.is_exceeded(worker)

    def _dismiss(self, worker: Worker) -> None:
        worker.state = State.STOPPING
        worker.cause = Cause.DISMISSED
        worker.timer = self._loop.later(STOPPING_TIME, lambda: worker.kill(Cause.STOPPED))
        worker.channel.send({"do": "stop"})

    def _hurry(self) -> None:
        for worker in self.workers:
            worker.kill(Cause.STOPPED)

    def _died(self, worker: Worker, status: int, end: float) -> None:
        """:param end: monotonic seconds until which its last words are waited for."""
        worker.printed.catch_up(wholly=True)
        if not worker.channel.drain() and self._loop.now() < end:  # its last answer may be in there
            self._loop.later(BREATH, lambda: self._died(worker, status, end))
            return
        del self._workers[worker.pid]
        self._left.clear(worker.token)
        if not self._workers:
            # With no other worker there, whatever has become a child of this process is of this one, marked or not.
            self._left.clear(None)
        self._successors.distrust(worker)
        self._loop.guarded(worker.bury)()  # whoever is told of its last lines may fail
        self._account_for(worker, status)
        self._go_on()

    def _account_for(self, worker: Worker, status: int) -> None:
        """See to the jobs of a worker that has ended, and to what its end means for the next one."""
        runs = worker.runs.clear()
        if worker.loaded and worker.cause is Cause.ITSELF and status == ENGINE_LOST:
            worker.cause = Cause.ENGINE
            self._pauses.failed(ends.explain_no_engine(self._loading))
        if worker.cause is Cause.DISMISSED and status == FAREWELL_FAILED:
            self._listener.hook_failed("nectar_worker_stopping failed")
        if not worker.loaded:
            # One that cannot load beside another can perhaps when that has ended.
            if self._stopped is None and not worker.early:
                self._pauses.failed(worker.failure or ends.explain_no_load(worker.cause, status, self._settings))
        elif not runs and not worker.spare and worker.cause in SHARED and worker.cause is not Cause.MEMORY:
            self._died_idle(worker, status)
        jobs = [run for run in runs if not run.answered]
        for run in jobs:
            if len(runs) > 1 and worker.cause in SHARED:
                self._listener.warn(ends.explain_shared_end(worker.cause, status), run.job)
            self._conclude(worker, run, status, others=len(runs) - 1)
        for run in runs:
            if run.answered:
                self._listener.hook_failed(ends.explain_cut_off(worker.cause, status, overdue=run.overdue), job=run.job)

    def _conclude(self, worker: Worker, run: Run, status: int, *, others: int) -> None:
        """What becomes of a job whose worker has ended.

        :param others: how many more it had, or looked after.
        """
        job = run.job
        if run.overdue:
            job.done(ends.explain_no_answer(job, Cause.OVERDUE, status, self._settings, self._loop.now() - run.started))
        elif run.interrupted:
            job.done(None)
        elif worker.cause is Cause.ENGINE and job.again is not None:
            job.again()
        elif worker.cause not in SHARED:  # it was another's doing, or nectar's
            self._give_back(job)
        elif others:
            # Whose doing it was, is not known: one that has a worker to itself answers for what becomes of that.
            self._give_back(job._replace(alone=True))
        elif worker.channel.unread:  # it had not read all of the question, of which its end says nothing
            self._give_back(job)
            if worker.cause is not Cause.MEMORY:
                self._died_idle(worker, status)
        else:
            job.done(ends.explain_no_answer(job, worker.cause, status, self._settings, self._loop.now() - run.started))

    def _go_on(self) -> None:
        """Do what a change of the workers makes possible."""
        self.start()
        self._hand_out()
        self._maybe_stopped()

    def _died_idle(self, worker: Worker, status: int) -> None:
        self._listener.warn(f"An idle worker {describe_status(status)}.")
        if self._stopped is None:
            self._pauses.died_idle(status, early=not worker.answered)

    def _give_back(self, job: Job) -> None:
        """Have another worker run what was not begun, or, at the end of all, whoever comes next."""
        if self._stopped is None:
            self._waiting.append(job)
        else:
            job.done(None)

    def _maybe_stopped(self) -> None:
        if self._stopped is not None and not self._ended and not self._workers and not self._left:
            self._ended = True
            self._stopped()
