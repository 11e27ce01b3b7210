"""The workers of one handler: kept warm, given one computation at a time, ended and replaced when they die or overstay."""

from __future__ import annotations

import enum
import os
import secrets
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar import processes
from nectar.runtime.channel import Channel, Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.computation import Status
    from nectar.protocol import Loading
    from nectar.runtime.loop import Loop, Timer
    from nectar.settings import Settings

LONGEST_PAUSE = 60.0
"""Seconds between two tries to start a worker, at most; the first pause is one second, each further one twice as long."""
PATIENCE = 0.3
"""Seconds for a worker that closed its channel to end by itself."""
STOPPING_TIME = 1.0
"""Seconds for a worker's farewell (``nectar_worker_stopping``)."""


class State(enum.Enum):
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    DEAD = "dead"


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    :ivar seconds: that the function ran; None where it is not known to have run.
    :ivar traceback: the author's, for the log alone.
    """

    status: Status
    value: int | None = None
    error: str | None = None
    seconds: float | None = None
    traceback: str | None = None


@dataclass(frozen=True)
class Job:
    """One run to be done.

    :ivar alias: whose question it is.
    :ivar deadline: seconds.
    :ivar done: called with the outcome, or with None when the pool was stopped in the middle of it.
    """

    alias: str
    comp_id: str
    body: bytes
    timestamp: float
    deadline: float
    done: Callable[[Outcome | None], None]


@dataclass(frozen=True)
class Failure:
    """Why a worker could not be made ready: the parts of a :class:`nectar.errors.NectarError`."""

    message: str
    where: str | None = None
    hint: str | None = None
    detail: str | None = None


@dataclass
class Events:
    """Whom the pool tells: each may be replaced by who made it."""

    ready: Callable[[list[str]], None] = lambda _warnings: None
    failed: Callable[[Failure], None] = lambda _failure: None
    printed: Callable[[list[str]], None] = lambda _lines: None
    died: Callable[[str], None] = lambda _how: None


@dataclass(eq=False)
class Worker:
    """One process, seen from the daemon."""

    process: subprocess.Popen[bytes]
    token: str
    channel: Channel
    printed: Printed
    state: State = State.LOADING
    job: Job | None = None
    number: int = 0
    started: float = 0.0
    timer: Timer | None = None
    ended_by_us: str | None = None
    failure: Failure | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self, why: str) -> None:
        """End it and its group. It is our child and not waited for yet, so that its PID is its own."""
        if self.state is State.DEAD:
            return
        if self.ended_by_us is None:
            self.ended_by_us = why
        _signal_group(self.pid)


class Pool:
    """:param script: ``start.py`` of the runtime.
    :param owner: what marks the processes of this handler, see :mod:`nectar.processes`.
    """

    def __init__(self, loop: Loop, loading: Loading, settings: Settings, script: Path, owner: str) -> None:
        self.events = Events()
        self.failures = 0
        self.last_failure: Failure | None = None
        self._loop = loop
        self._loading = loading
        self._settings = settings
        self._script = script
        self._owner = owner
        self._workers: dict[int, Worker] = {}
        self._stopped: Callable[[], None] | None = None
        self._pause: Timer | None = None
        self._jobs = 0

    @property
    def workers(self) -> list[Worker]:
        return list(self._workers.values())

    @property
    def free(self) -> bool:
        """Whether a job can be given now."""
        return self._stopped is None and any(worker.state is State.IDLE for worker in self._workers.values())

    def start(self) -> None:
        """Start as many workers as are missing."""
        while self._stopped is None and self._pause is None and len(self._workers) < self._settings.workers:
            try:
                worker = self._spawn()
            except OSError as error:
                self._failed(Failure(f"A worker cannot be started: {error.strerror}.", where=error.filename))
                return
            self._workers[worker.pid] = worker

    def run(self, job: Job) -> None:
        """Give a job to an idle worker; there must be one (:attr:`free`)."""
        worker = next(worker for worker in self._workers.values() if worker.state is State.IDLE)
        self._jobs += 1
        worker.state = State.BUSY
        worker.job = job
        worker.number = self._jobs
        worker.started = self._loop.now()
        worker.timer = self._loop.later(job.deadline, lambda: worker.kill("overdue"))
        worker.channel.send({"do": "run", "job": self._jobs, "comp_id": job.comp_id, "timestamp": job.timestamp}, job.body)

    def interrupt(self, alias: str) -> None:
        """End the workers that run something for an alias; those runs get no outcome."""
        for worker in self.workers:
            if worker.job is not None and worker.job.alias == alias:
                worker.kill("stopped")

    def stop(self, timeout: float, stopped: Callable[[], None]) -> None:
        """Let what runs finish, at most ``timeout`` seconds, say farewell, and end all workers.

        :param stopped: called when there is none left.
        """
        if self._stopped is not None:
            return
        self._stopped = stopped
        if self._pause is not None:
            self._pause.cancel()
        for worker in self.workers:
            if worker.state is State.LOADING:
                worker.kill("stopped")
            elif worker.state is State.IDLE:
                self._dismiss(worker)
        self._loop.later(timeout, self._hurry)
        self._maybe_stopped()

    def reap(self) -> None:
        """Collect the children that have ended; to be called at SIGCHLD."""
        for pid in _ended_children():
            worker = self._workers.get(pid)
            if worker is not None:
                # Its group first: while it is not waited for, the number of its group cannot be anybody else's.
                _signal_group(pid)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if worker is not None:
                worker.process.returncode = status
                self._died(worker, status)

    def _spawn(self) -> Worker:
        token = secrets.token_hex(8)
        own, theirs = socket.socketpair()
        reading, writing = os.pipe()
        directory = self._loading.directory
        try:
            process = subprocess.Popen(
                [self._loading.python, "-P", "-s", str(self._script), "worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=[theirs.fileno()],
                cwd=directory if Path(directory).is_dir() else "/",
                env={**self._loading.variables, processes.VARIABLE: f"{self._owner}/{token}"},
                start_new_session=True,
            )
        except BaseException:
            own.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)

        worker: Worker = Worker(
            process,
            token,
            Channel(
                self._loop,
                own,
                received=lambda header: self._received(worker, header),
                # Mostly it is about to end by itself, and then how it ended says more.
                closed=lambda: self._kill_later(worker, "it closed its channel"),
                broken=lambda: worker.kill("it wrote something else on its channel"),
            ),
            Printed(self._loop, reading, self.events.printed),
        )
        worker.timer = self._loop.later(self._settings.start_timeout, lambda: worker.kill("slow"))
        worker.channel.send(
            {
                "do": "load",
                "parent": os.getpid(),
                "entry": self._loading.entry,
                "handler": self._loading.handler,
                "plugins": self._loading.plugins,
                "snapshot": self._loading.snapshot,
                "pluggy": str(self._script.parents[3] / "deps" / "pluggy"),
            },
        )
        return worker

    def _received(self, worker: Worker, header: dict[str, Any]) -> None:
        match header["do"], worker.state:
            case "ready", State.LOADING:
                self._idle(worker)
                self.failures = 0
                self.last_failure = None
                self.events.ready([str(text) for text in header["warnings"]])
            case "failed", State.LOADING:
                parts = {key: None if header[key] is None else str(header[key]) for key in ("where", "hint", "detail")}
                worker.failure = Failure(str(header["message"]), **parts)
            case "answer", State.BUSY if worker.job is not None and header["job"] == worker.number:
                job, outcome = worker.job, _outcome(header)
                self._idle(worker)
                if self._stopped is not None:
                    self._dismiss(worker)
                job.done(outcome)
            case _:
                raise ValueError(header["do"])

    def _kill_later(self, worker: Worker, why: str) -> None:
        self._loop.later(PATIENCE, lambda: worker.kill(why))

    def _idle(self, worker: Worker) -> None:
        if worker.timer is not None:
            worker.timer.cancel()
        worker.timer = None
        worker.job = None
        worker.state = State.IDLE

    def _dismiss(self, worker: Worker) -> None:
        worker.state = State.STOPPING
        worker.timer = self._loop.later(STOPPING_TIME, lambda: worker.kill("stopped"))
        worker.channel.send({"do": "stop"})

    def _hurry(self) -> None:
        for worker in self.workers:
            worker.kill("stopped")

    def _died(self, worker: Worker, status: int) -> None:
        worker.channel.drain()  # its last answer may be in there
        worker.channel.close()
        processes.end_marked(f"{self._owner}/{worker.token}")
        worker.printed.close()
        if worker.timer is not None:
            worker.timer.cancel()
        state, worker.state = worker.state, State.DEAD
        del self._workers[worker.pid]
        if state is State.LOADING and self._stopped is None:
            self._failed(worker.failure or self._why_not_ready(worker, status))
        elif worker.job is not None:
            self._lost(worker, worker.job, status)
        elif state is not State.STOPPING:
            self.events.died(f"An idle worker {_how(status)}.")
        self.start()
        self._maybe_stopped()

    def _lost(self, worker: Worker, job: Job, status: int) -> None:
        seconds = self._loop.now() - worker.started
        if worker.ended_by_us == "stopped":
            job.done(None)
        elif worker.ended_by_us == "overdue":
            job.done(Outcome("timeout", error=f"The handler did not answer within {job.deadline:g} s.", seconds=seconds))
        elif worker.ended_by_us is not None:
            job.done(Outcome("error", error=f"The worker was ended: {worker.ended_by_us}.", seconds=seconds))
        else:
            job.done(Outcome("error", error=f"The worker {_how(status)} before it had an answer.", seconds=seconds))

    def _why_not_ready(self, worker: Worker, status: int) -> Failure:
        if worker.ended_by_us == "slow":
            return Failure(
                f"The handler was not loaded within {self._settings.start_timeout:g} s.",
                hint="Raise start_timeout under [tool.nectar], or load less at import.",
            )
        return Failure(f"The worker {_how(status)} while it loaded the handler.")

    def _failed(self, failure: Failure) -> None:
        self.failures += 1
        self.last_failure = failure
        pause = min(LONGEST_PAUSE, 2.0 ** (self.failures - 1))

        def again() -> None:
            self._pause = None
            self.start()

        self._pause = self._loop.later(pause, again)
        self.events.failed(failure)

    def _maybe_stopped(self) -> None:
        if self._stopped is not None and not self._workers:
            self._stopped()


def _outcome(header: dict[str, Any]) -> Outcome:
    """The outcome in an answer's header.

    :raises ValueError: it is none.
    """
    match header:
        case {"status": "success", "value": int(value), "seconds": int() | float() as seconds} if not isinstance(value, bool):
            return Outcome("success", value=value, seconds=seconds)
        case {
            "status": "error",
            "error": str(error),
            "traceback": str() | None as traceback,
            "seconds": int() | float() as seconds,
        }:
            return Outcome("error", error=error, traceback=traceback, seconds=seconds)
    raise ValueError("it is no answer")


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _ended_children() -> Iterator[int]:
    """PIDs of children that have ended and are not waited for yet, those that were adopted included."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        yield ended.si_pid


def _signal_group(pid: int) -> None:
    for send in (os.killpg, os.kill):
        try:
            send(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
