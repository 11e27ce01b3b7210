"""Which worker gets the next job, and whether one is to be claimed before there is one that does."""

from __future__ import annotations

from nectar.runtime.daemon.workers.worker_process import State

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Iterable

    from nectar.runtime.daemon.workers.worker_process import Worker
    from nectar.settings import Settings

QUICK = 0.01
"""Seconds within which a worker is free again whose next job is claimed while it works on one."""


def choose_worker(workers: Iterable[Worker], settings: Settings, *, alone: bool) -> Worker | None:
    """The one that has least to do, of those that take another job now.

    :param alone: whether it must have nothing else to do.
    """
    chosen = None
    for worker in workers:
        takes = _is_idle(worker) or (not alone and _takes_more(worker, settings))
        if takes and (chosen is None or len(worker.runs) < len(chosen.runs)):
            chosen = worker
    return chosen


def _is_idle(worker: Worker) -> bool:
    return worker.state is State.IDLE and not worker.spare


def _takes_more(worker: Worker, settings: Settings) -> bool:
    """Whether a worker that has something to do has a slot free for something else."""
    if len(worker.runs) >= settings.concurrency or not _goes_on(worker, settings):
        return False
    return not any(run.job.alone for run in worker.runs)


def is_soon_free(workers: Iterable[Worker], settings: Settings) -> bool:
    """Whether a job may be claimed that no worker takes now, because one is about to answer.

    What the daemon does for a question takes longer than the shortest runs: like this a worker has its next one when its answer comes,
    and not when that is published and another is claimed. Not where a question is looked at for its age when it is claimed, after
    which none may wait.
    """
    return settings.expired == "run" and any(
        worker.runs.took < QUICK and _goes_on(worker, settings) and worker.runs.seconds < QUICK for worker in workers
    )


def _goes_on(worker: Worker, settings: Settings) -> bool:
    """Whether a worker takes another job after those that it has."""
    after = settings.recycle_after
    if worker.state is not State.BUSY or worker.worn:
        return False
    return after is None or worker.answered + len(worker.runs) < after
