"""A handler's daemon: it wires the spools, the workers and the control socket, and runs none of the author's code.

Its life has the steps that :mod:`nectar.protocol` describes: load a worker and touch nothing, take the name, serve, stop.
"""

from __future__ import annotations

import enum
import fcntl
import json
import os
import signal
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nectar
from nectar import processes
from nectar.computation import ComputationResult
from nectar.errors import ConflictError, NectarError
from nectar.home import Home
from nectar.protocol import MAX_LINE, Assignment, decode, encode
from nectar.runtime.aliases import Aliases
from nectar.runtime.control import Control
from nectar.runtime.journal import PRINTED, Seldom, open_journal
from nectar.runtime.loop import READ, Loop
from nectar.runtime.pool import Failure, Job, Outcome, Pool
from nectar.runtime.signals import route
from nectar.runtime.watcher import Watcher
from nectar.settings import Settings

if TYPE_CHECKING:
    from nectar.runtime.alias import Alias
    from nectar.runtime.control import Reply
    from nectar.spool import Question, Spool

SCRIPT = Path(__file__).parent / "start.py"
TICK = 1.0
"""Seconds between two looks at what no event tells."""
LOOKED_AT = 0.5
"""Seconds for which a lock may be held by somebody who only looks at it."""
KEPT_LINES = 1000
"""Lines that the handler printed before there was a log to write them to."""


class State(enum.Enum):
    LOADING = "loading"
    LOADED = "loaded"
    TAKEN = "taken"
    SERVING = "serving"
    STOPPING = "stopping"


def main() -> None:
    """Run a daemon: orders come on descriptor 0, replies go to descriptor 1."""
    os.umask(0o077)
    line = _first_line()
    if line is None:
        return
    loop = Loop()
    daemon = Daemon(loop, Assignment.from_mapping(decode(line)))
    daemon.start()
    loop.run(daemon.pump)
    # Nothing of value is left in this process, and a thread of a library must not keep it.
    os._exit(0)


def _first_line() -> bytes | None:
    received = b""
    while not received.endswith(b"\n"):
        piece = os.read(0, 65536)
        if not piece or len(received) > MAX_LINE:
            return None
        received += piece
    return received


class Daemon:
    """One handler's daemon."""

    def __init__(self, loop: Loop, assignment: Assignment) -> None:
        self.state = State.LOADING
        self._loop = loop
        self._assignment = assignment
        self._home = Home(Path(assignment.data_dir))
        self._settings = Settings.from_mapping(assignment.settings)
        mark = processes.handler_mark(assignment.data_dir, assignment.name)
        self._mark = mark
        self._pool = Pool(loop, assignment.loading, self._settings, SCRIPT, processes.daemon_mark(mark))
        self._orders = b""
        self._early: deque[str] = deque(maxlen=KEPT_LINES)
        self._started = time.time()
        self._counts: Counter[str] = Counter()
        self._last_error: str | None = None

    def start(self) -> None:
        processes.adopt_orphans()
        calls = {signal.SIGTERM: lambda: self._stop(self._settings.stop_timeout), signal.SIGCHLD: self._pool.reap}
        # A daemon belongs to no terminal: what a terminal sends is not for it.
        route(self._loop, {**calls, signal.SIGINT: lambda: None, signal.SIGHUP: lambda: None})
        events = self._pool.events
        events.ready = self._ready
        events.failed = self._failed
        events.printed = self._printed
        events.died = self._say_warning
        os.set_blocking(0, False)
        self._loop.watch(0, READ, self._read_orders)
        self._pool.start()

    def pump(self) -> None:
        """Give questions to idle workers, fairly between aliases."""
        while self.state is State.SERVING and self._pool.free and (found := self._aliases.next()) is not None:
            alias, spool, question = found
            self._run(alias, spool, question)

    # --- the steps of its start

    def _read_orders(self, _events: int) -> None:
        try:
            piece = os.read(0, 65536)
        except BlockingIOError:
            return
        if not piece:
            self._loop.forget(0)
            if self.state in (State.LOADING, State.LOADED, State.TAKEN):
                self._stop(0)
            return
        *lines, self._orders = (self._orders + piece).split(b"\n")
        for line in lines:
            order = decode(line)["do"]
            try:
                if order == "take" and self.state is State.LOADED:
                    self._take()
                elif order == "serve" and self.state is State.TAKEN:
                    self._serve()
            except NectarError as error:
                self._give_up(error.kind, Failure(error.message, error.where, error.hint, error.detail))

    def _ready(self, warnings: list[str]) -> None:
        if self.state is State.LOADING:
            self.state = State.LOADED
            self._early.extend(warnings)
            self._say({"state": "loaded", "warnings": warnings})
        elif self.state is State.SERVING:
            for warning in warnings:
                self._say_warning(warning)

    def _failed(self, failure: Failure) -> None:
        if self.state in (State.LOADING, State.LOADED, State.TAKEN):
            self._give_up("failed", failure)
            return
        self._last_error = failure.message
        self._say_warning(f"{failure.message}\n{failure.detail or ''}".strip())

    def _give_up(self, kind: str, failure: Failure) -> None:
        printed = list(self._early)[-20:]
        self._say({"state": "failed", "kind": kind, **vars(failure), "printed": printed})
        self._stop(0)

    def _take(self) -> None:
        home, name = self._home, self._assignment.name
        self._lock = _hold(home.lock(name), self._started)
        # What a killed daemon left must be gone before anything is claimed.
        processes.end_orphans(self._mark)
        try:
            self._journal = open_journal(home.log(name))
            self._control = Control(self._loop, home.socket(name), self._handle)
        except OSError as error:
            raise NectarError(f"The daemon cannot start: {error.strerror}.", where=error.filename) from None
        self._aliases = Aliases(
            name,
            home,
            self._settings,
            self._loop,
            Watcher(self._loop),
            self._journal,
            Seldom(self._journal),
            self._pool.interrupt,
        )
        self.state = State.TAKEN
        self._say({"state": "taken", "pid": os.getpid(), "started": self._started})

    def _serve(self) -> None:
        self.state = State.SERVING
        python = ".".join(map(str, sys.version_info[:3]))
        self._journal.info(
            "started: nectar %s, Python %s, handler %s", nectar.__version__, python, self._assignment.loading.handler
        )
        self._printed(list(self._early))
        self._early.clear()
        self._aliases.sync()
        self._loop.later(TICK, self._tick)
        self._say({"state": "serving"})
        self._loop.forget(0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            os.write(1, encode(message))
        except OSError:  # who started it is gone, which its closed input tells too
            pass

    # --- questions

    def _run(self, alias: Alias, spool: Spool, question: Question) -> None:
        computation = question.computation
        if computation is None:
            self._answered(alias, spool, question, Outcome("error", error=f"The question cannot be answered: {question.problem}."))
            return
        if self._settings.expired == "skip" and time.time() - question.written > computation.deadline:
            expired = f"The question was older than its deadline of {computation.deadline:g} s when it was picked up."
            self._answered(alias, spool, question, Outcome("timeout", error=expired))
            return

        def done(outcome: Outcome | None) -> None:
            if outcome is not None and not spool.closed:
                self._answered(alias, spool, question, outcome)

        deadline = min(computation.deadline, self._settings.deadline or computation.deadline, 10.0**9)
        self._pool.run(Job(alias.name, computation.comp_id, question.raw, question.written, deadline, done))

    def _answered(self, alias: Alias, spool: Spool, question: Question, outcome: Outcome) -> None:
        comp_id = question.claim.comp_id
        spool.answer(question, _result(comp_id, outcome))
        alias.settle(spool)
        self._counts[outcome.status] += 1
        took = "not run" if outcome.seconds is None else f"{outcome.seconds:.3f} s"
        if outcome.status == "success":
            self._journal.info("%s %s: success (%s)", alias.name, comp_id, took)
        else:
            self._last_error = outcome.error
            text = "\n".join(filter(None, (outcome.error, (outcome.traceback or "").rstrip())))
            self._journal.warning("%s %s: %s (%s): %s", alias.name, comp_id, outcome.status, took, text)

    def _printed(self, lines: list[str]) -> None:
        if self.state in (State.LOADING, State.LOADED, State.TAKEN):
            self._early.extend(lines)
            return
        for line in lines:
            self._journal.log(PRINTED, "%s", line)

    def _say_warning(self, text: str) -> None:
        if self.state in (State.SERVING, State.STOPPING):
            self._journal.warning("%s", text)

    def _tick(self) -> None:
        if self.state is State.SERVING:
            self._loop.later(TICK, self._tick)
            self._aliases.tick()

    # --- requests

    def _handle(self, request: dict[str, Any], reply: Reply) -> None:
        match request["do"]:
            case "status" if self.state in (State.TAKEN, State.SERVING, State.STOPPING):
                reply(self._status())
            case "sync" if self.state is State.SERVING:
                self._aliases.sync(lambda attachments: reply({"ok": True, **attachments}))
            case "stop":
                timeout = request.get("timeout", self._settings.stop_timeout)
                if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 <= timeout <= 86400:
                    raise ValueError("its timeout is no number of seconds")
                reply({"ok": True, "pid": os.getpid()})
                self._stop(timeout)
            case _:
                raise ValueError(f"it cannot be done while the daemon is {self.state.value}")

    def _status(self) -> dict[str, Any]:
        failing = self._pool.last_failure
        return {
            "ok": True,
            "pid": os.getpid(),
            "started": self._started,
            "state": self.state.value,
            "version": nectar.__version__,
            "aliases": self._aliases.status(),
            "workers": [{"pid": worker.pid, "state": worker.state.value} for worker in self._pool.workers],
            "counts": {status: self._counts[status] for status in ("success", "error", "timeout")},
            "queue": self._aliases.waiting,
            "failing": failing.message if failing is not None else None,
            "last_error": self._last_error,
            "watching": "rescans" if self._aliases.watcher.problem else "events",
        }

    def _stop(self, timeout: float) -> None:
        if self.state is State.STOPPING:
            return
        begun, self.state = self.state, State.STOPPING
        if begun is State.SERVING:
            self._journal.info("stopping")
            self._aliases.pause()
        self._pool.stop(timeout, lambda: self._end(begun))

    def _end(self, begun: State) -> None:
        if begun in (State.TAKEN, State.SERVING):
            self._aliases.close()
            self._control.close()
            if begun is State.SERVING:
                self._journal.info("stopped")
        self._loop.stop()


def _result(comp_id: str, outcome: Outcome) -> ComputationResult:
    return ComputationResult(
        comp_id=comp_id,
        status=outcome.status,
        value=outcome.value,
        error=outcome.error,
        execution_time=outcome.seconds,
    )


def _hold(path: Path, started: float) -> int:
    """Take the lock that says that a handler of this name runs, and write into it who holds it.

    :raises ConflictError: somebody has it.
    """
    end = time.monotonic() + LOOKED_AT
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() < end:  # a command that only looks whether we run holds it for a moment
                time.sleep(0.01)
                continue
            raise ConflictError(f"A handler named {path.stem!r} is running.", hint=f"nectar stop {path.stem}") from None
        try:
            same = path.stat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(descriptor)  # it was removed meanwhile
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "started": started, "version": nectar.__version__}).encode() + b"\n")
    return descriptor
