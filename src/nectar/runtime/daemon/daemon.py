"""A handler's daemon: its life, step by step. It runs none of the author's code.

=============  ===============================================================================================================
it is          and then
=============  ===============================================================================================================
``LOADING``    a worker loads the handler (:meth:`Daemon.load`), and nothing on disk is touched
``LOADED``     it is told to take the handler's name, socket and log (``take``)
``TAKEN``      it is told to claim questions (``serve``); what a killed daemon left is gone
``SERVING``    :mod:`nectar.runtime.daemon.service` does what there is to do, and nobody is needed any more
``STOPPING``   it claims nothing more, and what runs may finish; when the workers have ended, so does the process
=============  ===============================================================================================================

Any step may be followed by the last one: a failure is told to who started it until it serves, and goes to its log from then on.
"""

from __future__ import annotations

import enum
import gc
import os
import signal
import sys
from collections import deque
from pathlib import Path

from nectar import inherited, processes
from nectar.errors import NectarError
from nectar.events import ERROR, WARNING
from nectar.home import Home
from nectar.runtime.daemon.fault import describe_fault
from nectar.runtime.daemon.job import Failure
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.signals import route
from nectar.runtime.daemon.starter import Starter
from nectar.runtime.daemon.workers.pool import Pool
from nectar.settings import Settings

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from nectar.protocol import Assignment
    from nectar.runtime.daemon.job import Job
    from nectar.runtime.daemon.service import Service
    from nectar.runtime.daemon.workers.kernel import Kernel

KEPT_LINES = 1000
"""Lines that the handler printed before there was a log to write them to."""
TOLD_LINES, TOLD_CHARACTERS = 20, 1000
"""How many of those, and how much of each, go with the word that it could not be loaded."""
MAX_FAULTS, FAULTY = 20, 60.0
"""How many exceptions of ours there may be in how many seconds. With more, another daemon may do better."""
EX_SOFTWARE = 70
"""The exit code of a daemon that gave up because of them, as in sysexits(3)."""


class State(enum.Enum):
    LOADING = "loading"
    LOADED = "loaded"
    TAKEN = "taken"
    SERVING = "serving"
    STOPPING = "stopping"


def run(assignment: Assignment, kernel: Kernel, script: str, mark: str) -> None:
    """Run a daemon for who is at descriptors 0 and 1, and end the process.

    :param kernel: what runs its workers, ``script`` the runtime's ``start.py``, and ``mark`` what marks them.
    """
    loop = Loop()
    daemon = Daemon(loop, assignment, kernel, script, mark)
    daemon.load()
    # Half of the modules are needed once the handler is loaded: they are imported while it is.
    import nectar.runtime.daemon.service  # noqa: F401
    from nectar.runtime.daemon import foreseen

    foreseen.rehearse()
    gc.freeze()
    gc.enable()
    try:
        loop.run(daemon.pump)
    except BaseException as error:
        daemon.fell(error)
        os._exit(1)
    # Nothing of value is left in this process, and a thread of a library must not keep it.
    os._exit(daemon.code)


class Faults:
    """When there were exceptions of ours."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=MAX_FAULTS + 1)

    def are_too_many(self, now: float) -> bool:
        """Whether, with one more now, there were too many lately; if so, they are counted anew.

        :param now: monotonic seconds.
        """
        self._seconds.append(now)
        if len(self._seconds) <= MAX_FAULTS or now - self._seconds[0] >= FAULTY:
            return False
        self._seconds.clear()
        return True


class Daemon:
    """One handler's daemon.

    :ivar code: its exit code, when it has ended in order.
    """

    def __init__(self, loop: Loop, assignment: Assignment, kernel: Kernel, script: str, mark: str) -> None:
        self.state = State.LOADING
        self.code = 0
        self._loop = loop
        self._faults = Faults()
        self._assignment = assignment
        self._settings = Settings.from_mapping(assignment.settings)
        limits = inherited.raise_limits()
        self._pool = Pool(loop, assignment.loading, self._settings, script, mark, self, kernel, limits)
        self._starter = Starter(loop, self._obey, gone=lambda: self._stop(0))
        self._service: Service | None = None
        self._early: deque[str] = deque(maxlen=KEPT_LINES)
        self._warned: list[str] = []

    # --- its life

    def load(self) -> None:
        """Have a worker load the handler."""
        processes.adopt_orphans()
        calls = {signal.SIGTERM: lambda: self._stop(self._settings.stop_timeout), signal.SIGCHLD: self._pool.reap}
        # A daemon belongs to no terminal: what a terminal sends is not for it.
        route(self._loop, {**calls, signal.SIGINT: lambda: None, signal.SIGHUP: lambda: None})
        self._loop.faulted = self._faulted
        self._pool.start()
        self._loop.later(0, self._pool.reap)  # the worker that was started ahead may have ended before that could be told

    def _obey(self, order: str) -> None:
        try:
            match order, self.state:
                case "take", State.LOADED:
                    self._take()
                case "serve", State.TAKEN:
                    self._serve()
        except NectarError as error:
            self._give_up(error.kind, Failure(error.message, error.where, error.hint, error.detail))

    def _take(self) -> None:
        from nectar.runtime.daemon.service import Service

        home = Home(Path(self._assignment.data_dir))
        name = self._assignment.name
        self._service = Service(name, home, self._settings, self._loop, self._pool, stop=self._stop, state=lambda: self.state.value)
        # What a killed daemon left must be gone before anything is claimed.
        processes.end_orphans(home.data_dir, name)
        self.state = State.TAKEN
        self._starter.say({"state": "taken", "pid": os.getpid(), "started": self._service.started})

    def _serve(self) -> None:
        assert self._service is not None
        self.state = State.SERVING
        self._service.serve(self._assignment.loading.entry.name, self._early)
        self._early.clear()
        self._starter.say({"state": "serving"})
        self._starter.let_go()

    def pump(self) -> None:
        """Do what there is to do; to be called whenever something has happened."""
        if self._service is not None:
            self._service.pump()

    def _give_up(self, kind: str, failure: Failure) -> None:
        printed = [line[:TOLD_CHARACTERS] for line in list(self._early)[-TOLD_LINES:]]
        self._starter.say({"state": "failed", "kind": kind, **failure._asdict(), "printed": printed})
        self._stop(0)

    def _stop(self, timeout: float) -> None:
        begun, self.state = self.state, State.STOPPING
        try:
            if begun is State.SERVING and self._service is not None:
                self._service.pause()
        finally:
            self._pool.stop(timeout, self._end)

    def _end(self) -> None:
        try:
            if self._service is not None:
                self._service.close()
        finally:
            self._loop.stop()

    # --- what the pool tells

    def ready(self, warnings: list[str]) -> None:
        for warning in warnings:
            if warning not in self._warned:  # the worker before this one had it too
                self.warn(warning)
        self._warned = warnings
        if self.state is State.LOADING:
            self.state = State.LOADED
            self._starter.say({"state": "loaded", "warnings": warnings})

    def failed(self, failure: Failure) -> None:
        if self._serving is not None:
            self._serving.failed(failure)
        else:
            self._give_up("failed", failure)

    def printed(self, lines: list[str], whose: str = "") -> None:
        if self._serving is not None:
            self._serving.printed(lines, whose)
        else:
            self._early.extend(lines)

    def hook_failed(self, what: str, detail: str | None = None, job: Job | None = None) -> None:
        self.warn("\n".join(filter(None, (what, (detail or "").rstrip()))), job)

    def warn(self, text: str, job: Job | None = None) -> None:
        self._tell(text, WARNING, "" if job is None else job.name)

    def _tell(self, text: str, kind: str, whose: str = "") -> None:
        if self._serving is not None:
            self._serving.warn(text, kind, whose)
        else:
            self._early.append(text)

    @property
    def _serving(self) -> Service | None:
        """The service, once what happens is told in its log and no longer to who started this."""
        return self._service if self.state in (State.SERVING, State.STOPPING) else None

    # --- what goes wrong with it

    def _faulted(self, error: Exception) -> None:
        """Go on after a bug of ours, or for want of memory: what it happened to is made anew by whose it is."""
        self.fell(error)
        if self._serving is None:
            self._give_up("failed", Failure(f"Nectar failed: {error!r}"))
            return
        if self._faults.are_too_many(self._loop.now()):
            if self.code:  # it could not even stop in order
                os._exit(self.code)
            self.code = EX_SOFTWARE
            self._tell(f"stopping after more than {MAX_FAULTS} such failures within {FAULTY:g} s", ERROR)
            self._stop(self._settings.stop_timeout)

    def fell(self, error: BaseException) -> None:
        """Leave a word of a bug of ours where it is looked for."""
        try:
            text = describe_fault(error)
            sys.stderr.write(text + "\n")
            self._tell(text, ERROR)
        except Exception:  # the same may be too little for this, too
            return
