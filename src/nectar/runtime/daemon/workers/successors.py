"""Workers that load while another is about to overstay, to take its place when that has ended."""

from __future__ import annotations

from nectar.runtime.daemon.workers.ends import Cause
from nectar.runtime.daemon.workers.worker_process import State

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nectar.runtime.daemon.loop import Loop
    from nectar.runtime.daemon.workers.kernel import Kernel
    from nectar.runtime.daemon.workers.worker_process import Worker

DOUBT = 0.1
"""Seconds in which what a worker left becomes our child, whatever stood between."""


class Successors:
    """:param workers: all that there are, by PID, as it changes.
    :param start: starts one beside the worker that it is to succeed; an OSError says that it cannot.
    :param dismiss: has an idle one end in order.
    """

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        workers: Mapping[int, Worker],
        start: Callable[[Worker], None],
        dismiss: Callable[[Worker], None],
    ) -> None:
        self._loop = loop
        self._kernel = kernel
        self._workers = workers
        self._start = start
        self._dismiss = dismiss

    def foresee(self, worker: Worker) -> None:
        """What a worker does is about to overstay: have another load meanwhile, if it can."""
        if not any(one.spare for one in self._workers.values()):
            try:
                self._start(worker)
            except OSError:  # it is tried again when the other one has ended
                pass

    def release(self, worker: Worker) -> None:
        """It did not overstay."""
        for one in self._of(worker):
            if one.state is State.LOADING:
                one.kill(Cause.STOPPED)
            elif one.state is State.IDLE:
                self._dismiss(one)

    def distrust(self, worker: Worker) -> None:
        """It has ended: have its successor end, too, where something without a token is there that either may have left."""
        self._look(worker)
        self._loop.later(DOUBT, lambda: self._look(worker, last=True))

    def _look(self, worker: Worker, *, last: bool = False) -> None:
        """:param last: whether there is no further look; until then it is known whom it succeeded."""
        for one in self._of(worker):
            if len(self._workers) == 1 and self._kernel.has_unmarked(self._workers.keys()):
                one.kill(Cause.STOPPED)
            if last:
                one.beside = None

    def _of(self, worker: Worker) -> list[Worker]:
        return [one for one in self._workers.values() if one.beside is worker]
