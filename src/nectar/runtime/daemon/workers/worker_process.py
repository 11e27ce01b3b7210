"""One worker, seen from its daemon: a process in a session of its own, the channel to it, and its end."""

from __future__ import annotations

import enum
import os

from nectar.runtime.daemon.workers.channel import Channel
from nectar.runtime.daemon.workers.ends import Cause
from nectar.runtime.daemon.workers.printed import Printed
from nectar.runtime.daemon.workers.runs import Run, Runs
from nectar.runtime.origins import Origins

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nectar.protocol import Loading
    from nectar.runtime.daemon.job import Failure
    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.runtime.daemon.workers.kernel import Kernel, Spawned
    from nectar.runtime.daemon.workers.listener import Listener

    Received = Callable[["Worker", dict[str, Any]], None]

PATIENCE = 0.3
"""Seconds for a worker that closed its channel to end by itself."""
CANCELLING = 1.0
"""Seconds for a run that is cancelled to end."""

NO_ENGINE = {"name": "", "executor": None, "dask": None, "identity": None, "lock": None}


class State(enum.Enum):
    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    STOPPING = "stopping"
    ENDING = "ending"
    """It was told to end, or killed, which takes effect when it does; it never gets anything to do again."""
    DEAD = "dead"


class Worker:
    """One process.

    :ivar token: marks it and all that it starts, see :mod:`nectar.processes`.
    :ivar loaded: whether it has loaded the handler.
    :ivar started: monotonic seconds at which it was started.
    :ivar early: whether it was started before the end of the one that it is to succeed, which ``beside`` is until shortly after that.
    :ivar runs: the jobs that it has.
    :ivar cancels: whether it can end one of them, and go on with the others.
    :ivar frees: whether it looks after each answer, and says when it has.
    :ivar answered: how many it has answered, and is free of.
    :ivar worn: whether it is to be replaced, once it has no jobs any more.
    :ivar cause: why it ends, which it does by itself where nobody has told it to.
    :ivar failure: why it could not load the handler, in its own words.
    :ivar gone: whether it has ended: what still comes from it was sent before.
    """

    channel: Channel
    printed: Printed

    def __init__(self, loop: Loop, kernel: Kernel, pid: int, token: str) -> None:
        self.loop = loop
        self.kernel = kernel
        self.pid = pid
        self.token = token
        self.state = State.LOADING
        self.loaded = False
        self.started = loop.now()
        self.early = False
        self.beside: Worker | None = None
        self.runs = Runs(loop, self.overstays)
        self.cancels = False
        self.frees = False
        self.answered = 0
        self.worn = False
        self.timer: Timer | None = None
        self.cause = Cause.ITSELF
        self.failure: Failure | None = None
        self.gone = False

    @property
    def spare(self) -> bool:
        """Whether it waits for the end of the one that it is to succeed."""
        return self.beside is not None and self.beside.state is not State.DEAD

    def kill(self, cause: Cause) -> None:
        """End it and its group. It is our child and not waited for yet, so that its PID is its own."""
        if self.gone:
            return
        if self.cause is Cause.ITSELF:
            self.cause = cause
        self.state = State.ENDING
        self.kernel.signal(self.pid)

    def overstays(self, run: Run) -> None:
        """End what is past its time: where it cannot be ended by itself, or does not end in time, with the whole worker."""
        if self.cause not in (Cause.ITSELF, Cause.OVERDUE):
            return  # it is being ended, and why counts
        if run.answered:
            self.kill(Cause.LINGERING)
        elif self.cancels and not run.overdue:
            run.timer = self.loop.later(CANCELLING, lambda: self.overstays(run))
            self.channel.send({"do": "cancel", "job": run.number})
        else:
            self.kill(Cause.OVERDUE)
        run.overdue = True

    @property
    def own_pid(self) -> int:
        """The PID for whoever looks at it: behind a wall, ``pid`` is that of what stands before it."""
        return self.kernel.own_pid(self.pid)

    def resident(self) -> int:
        """Bytes of memory that it has now (Linux; elsewhere, and where it has ended, 0)."""
        return self.kernel.resident(self.pid)

    def exceeds(self, limit: int) -> bool:
        """Whether it has more than so many bytes of memory."""
        return self.kernel.exceeds(self.pid, limit)

    def report(self, wall: float) -> dict[str, Any]:
        """What it does: ``pid``, ``state``, ``memory`` (bytes) and ``cpu`` (seconds, both 0 where the system does not tell), ``runs``.

        Of each run ``alias``, ``comp_id``, ``since`` (Unix seconds) and ``deadline`` (seconds).

        :param wall: Unix seconds now.
        """
        now = self.loop.now()
        runs = [
            {"alias": run.job.alias, "comp_id": run.job.comp_id, "since": wall - (now - run.started), "deadline": run.job.deadline}
            for run in self.runs
        ]
        return {
            "pid": self.own_pid,
            "state": self.state.value,
            "memory": self.resident(),
            "cpu": self.kernel.processor_time(self.pid),
            "runs": runs,
        }

    def rest(self) -> None:
        """It has done what it was to do; one that is being ended stays so."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None
        if self.state is not State.ENDING:
            self.state = State.BUSY if self.runs else State.IDLE

    def bury(self) -> None:
        """Let go of it, after its end and all that it left to say."""
        self.state = State.DEAD
        self.channel.close()
        self.printed.close()
        if self.timer is not None:
            self.timer.cancel()


def spawn(loop: Loop, kernel: Kernel, loading: Loading, script: str, owner: str, listener: Listener, received: Received) -> Worker:
    """Start a worker.

    :param script: ``start.py`` of the runtime.
    :param owner: what marks the processes of this daemon.
    :param received: called with each header that the worker sends; a ValueError, KeyError or TypeError says that it is nonsense.
    :raises OSError: it cannot be started.
    """
    spawned = kernel.spawn(loading, script, owner)
    try:
        origins = Origins(os.path.dirname(os.path.dirname(loading.python)), loading.directory)
        return _connected(Worker(loop, kernel, spawned.pid, spawned.token), spawned, listener, received, origins)
    except BaseException:
        kernel.signal(spawned.pid)
        for descriptor in (spawned.channel, spawned.printed):
            loop.forget(descriptor)
            kernel.close(descriptor)
        raise


def _connected(worker: Worker, spawned: Spawned, listener: Listener, received: Received, origins: Origins) -> Worker:
    # Whatever goes wrong on our side of it, another one can take its place.
    loop = worker.loop.within(lambda: worker.kill(Cause.FAULT))
    worker.channel = Channel(
        loop,
        worker.kernel,
        spawned.channel,
        received=lambda header: received(worker, header),
        closed=lambda: _await_end(loop, worker),
        broken=lambda: worker.kill(Cause.NONSENSE),
    )
    worker.printed = Printed(loop, worker.kernel, spawned.printed, listener, origins.name_lines_in, worker.runs.name_one)
    return worker


def _await_end(loop: Loop, worker: Worker) -> None:
    """Give a worker without a channel nothing more. Mostly it is about to end by itself, and then how it ended says more."""
    worker.state = State.ENDING
    loop.later(PATIENCE, lambda: worker.kill(Cause.CLOSED))


def order_to_load(loading: Loading, script: str) -> dict[str, Any]:
    """What a worker is told to load: the frame ``load`` of :mod:`nectar.runtime.frames`, but for the bounds that it gets.

    :param script: ``start.py`` of the runtime.
    """
    api = os.path.dirname(os.path.dirname(os.path.dirname(script)))
    return {
        "do": "load",
        "parent": 1 if loading.wall else os.getpid(),
        "processes": loading.wall["processes"] if loading.wall else None,
        "entry": loading.entry.value,
        "handler": loading.entry.name,
        "plugins": loading.plugins,
        "snapshot": loading.snapshot,
        "pluggy": os.path.join(os.path.dirname(api), "deps", "pluggy"),
        "directory": loading.directory,
        **NO_ENGINE,
        **loading.engine,
    }
