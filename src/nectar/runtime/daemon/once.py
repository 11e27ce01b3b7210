"""Computations through a worker without a spool or a daemon: what ``nectar test`` starts in the handler's environment.

One line of JSON comes on standard input: ``assignment``, ``computations`` (each as in a ``.pending`` file) and
``terminal`` (null, or ``group`` and ``streams`` as
:class:`nectar.runtime.daemon.workers.kernel.Terminal` has them: then no time passes while a worker is there, and each computation
waits for one more line, so that nobody writes to the terminal beside the worker). What happens goes to standard output, a line each, with ``event``:

``loaded``
    with ``warnings``, and ``seconds``, which it took, without those for which others had the processor.
``answered``
    with ``result`` (as in a ``.complete`` file) and ``traceback`` (the author's, or null), once for each computation in turn.
``output``
    with ``text``, a line that the handler's code printed.
``hook failed``
    with ``message`` and ``traceback`` (the author's, or null: that of ``nectar_worker_stopping`` is in the output).
``failed``
    with ``kind``, ``message``, ``where``, ``hint`` and ``detail``; nothing comes after it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections import deque

from nectar import inherited, proc, processes
from nectar.api.computation import Computation, ComputationResult
from nectar.protocol import Assignment, decode, encode
from nectar.runtime.daemon.beginning import SCRIPT
from nectar.runtime.daemon.job import Failure, Job, Outcome
from nectar.runtime.daemon.loop import READ, Loop
from nectar.runtime.daemon.signals import route
from nectar.runtime.daemon.workers.ends import AFTERWARDS
from nectar.runtime.daemon.workers.kernel import System, Terminal
from nectar.runtime.daemon.workers.pool import Pool
from nectar.settings import Settings

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

STOP_TIME = 1.0


def main() -> None:
    """Run what standard input says, and end when it has closed or all is answered."""
    gc.freeze()
    gc.enable()
    inherited.settle_signals()
    order = decode(sys.stdin.buffer.readline())
    terminal = order["terminal"] and Terminal(order["terminal"]["group"], tuple(order["terminal"]["streams"]))
    clock = Stopwatch()
    loop = Loop(clock) if terminal else Loop()
    assignment = Assignment.from_mapping(order["assignment"])
    once = Once(loop, assignment, order["computations"], terminal)
    clock.stands = once.is_busy
    once.start()
    loop.run(once.go_on)
    os._exit(0)


class Stopwatch:
    """A clock that stands still, for who thinks at a debugger's prompt.

    :ivar stands: says whether it does.
    """

    def __init__(self) -> None:
        self.stands: Callable[[], bool] = lambda: False
        self._looked = time.monotonic()
        self._shown = 0.0

    def __call__(self) -> float:
        looked, self._looked = self._looked, time.monotonic()
        if not self.stands():
            self._shown += self._looked - looked
        return self._shown


class Once:
    """Some computations, one after another; what the pool tells goes to standard output."""

    def __init__(
        self,
        loop: Loop,
        assignment: Assignment,
        questions: list[dict[str, Any]],
        terminal: Terminal | None = None,
    ) -> None:
        self._loop = loop
        self._waits = self._terminal = terminal is not None
        self._questions = deque(questions)
        self._loaded = False
        self._asked = False
        self._over = False
        settings = Settings.from_mapping({**assignment.settings, "workers": 1, "concurrency": 1})
        mark = processes.daemon_mark(processes.handler_mark(assignment.data_dir, assignment.name))
        self._limit = settings.deadline
        self._pool = Pool(loop, assignment.loading, settings, SCRIPT, mark, self, System(terminal))

    def start(self) -> None:
        processes.adopt_orphans()
        route(self._loop, {signal.SIGCHLD: self._pool.reap, signal.SIGTERM: self._end, signal.SIGINT: self._end})
        # Who started us keeps our standard input open for as long as it wants to know.
        self._loop.watch(0, READ, self._told)
        self._pool.start()

    def is_busy(self) -> bool:
        """Whether there is a worker."""
        return bool(self._pool.workers)

    def ready(self, warnings: list[str]) -> None:
        if not self._loaded:
            self._loaded = True
            (worker,) = self._pool.workers
            seconds = self._loop.now() - worker.started - proc.read_delay(worker.own_pid)
            _tell("loaded", warnings=warnings, seconds=seconds)

    def failed(self, failure: Failure) -> None:
        _tell("failed", kind="failed", **failure._asdict())
        self._end()

    def printed(self, lines: list[str], whose: str = "") -> None:
        for line in lines:
            _tell("output", text=line)

    def warn(self, text: str, job: Job | None = None) -> None:
        """Nothing: whoever tries a handler looks at its answers; at a terminal, somebody has ended the worker."""
        if self._terminal:
            self._end()

    def hook_failed(self, what: str, detail: str | None = None, job: Job | None = None) -> None:
        _tell("hook failed", message=what, traceback=detail)

    def go_on(self) -> None:
        """Ask the next question where it is due; to be called whenever something has happened."""
        if not self._loaded or self._asked or self._over or self._waits:
            return
        if not self._questions:
            self._end(AFTERWARDS + STOP_TIME)
        elif self._pool.free:  # else the worker looks after its answer, or is being replaced
            self._run(self._questions.popleft())

    def _run(self, fields: dict[str, Any]) -> None:
        comp_id = str(fields["comp_id"])
        raw = json.dumps(fields).encode()
        computation = Computation.from_json(raw, comp_id=comp_id)
        deadline = min(filter(None, (computation.deadline, self._limit)))

        def done(outcome: Outcome | None) -> None:
            self._asked = False
            if outcome is not None:
                self._answered(comp_id, outcome)

        self._asked, self._waits = True, self._terminal
        self._pool.run(Job("", comp_id, raw, computation.timestamp, deadline, done))

    def _answered(self, comp_id: str, outcome: Outcome) -> None:
        result = ComputationResult(
            comp_id=comp_id,
            status=outcome.status,
            value=outcome.value,
            error=outcome.error,
            execution_time=outcome.seconds,
        )
        _tell("answered", result=json.loads(result.to_json()), traceback=outcome.traceback)

    def _told(self, _events: int) -> None:
        self._waits = False
        if not os.read(0, 4096):
            self._end(0)

    def _end(self, seconds: float = STOP_TIME) -> None:
        """:param seconds: for what runs, and for its farewell; none, where nobody wants to know any more."""
        self._over = True
        self._pool.stop(seconds, self._loop.stop)


def _tell(event: str, **fields: Any) -> None:
    try:
        sys.stdout.buffer.write(encode({"event": event, **fields}))
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody wants to know any more, and standard input will say so
        pass
