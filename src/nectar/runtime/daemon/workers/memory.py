"""The memory of workers that have a limit."""

from __future__ import annotations

from nectar.runtime.daemon.workers.ends import Cause
from nectar.runtime.daemon.workers.worker_process import State

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.runtime.daemon.loop import Loop
    from nectar.runtime.daemon.workers.worker_process import Worker

ROUND = 0.1
"""Seconds between two looks at it."""
GRACE = 0.2
"""Seconds of a run before its memory is looked at: a worker that has grown over many runs is replaced between two of them."""


class Memory:
    """Ends workers that have too much.

    :param limit: bytes of one worker; where it is None, none has too much.
    :param workers: those that there are, as long as any is to come; None at the end.
    :param dismiss: has an idle worker end.
    """

    def __init__(
        self, loop: Loop, limit: int | None, workers: Callable[[], list[Worker] | None], dismiss: Callable[[Worker], None]
    ) -> None:
        self.limit = limit
        self._loop = loop
        self._workers = workers
        self._dismiss = dismiss
        if limit is not None:
            loop.later(ROUND, self._look)

    def is_exceeded(self, worker: Worker) -> bool:
        return self.limit is not None and worker.exceeds(self.limit)

    def _look(self) -> None:
        workers = self._workers()
        if workers is None:
            return
        self._loop.later(ROUND, self._look)
        for worker in workers:
            if worker.state in (State.STOPPING, State.ENDING) or not self.is_exceeded(worker):
                continue
            if worker.state is State.IDLE:
                self._dismiss(worker)
            elif worker.state is State.LOADING or worker.runs.seconds >= GRACE:
                worker.kill(Cause.MEMORY)
