"""Which worker gets the next job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.runtime.daemon.workers.runs import QUICK
from nectar.runtime.daemon.workers.worker_process import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nectar.runtime.daemon.workers.worker_process import Worker
    from nectar.settings import Settings


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
    """Whether a worker that has something to do is given something else: for a slot that is free, or ahead.

    One is sent ahead only while answers come at once, because it stays with this worker; and not where there are several workers, of
    which others are busy while one waits for its next job. With a memory limit, one that has grown is replaced between two jobs; and
    whether a question is too old to be run is looked at when it is taken, so that none may wait after that.
    """
    after, has = settings.recycle_after, len(worker.runs)
    if worker.state is not State.BUSY or worker.worn or (after is not None and worker.answered + has >= after):
        return False
    for run in worker.runs:
        if run.job.alone:
            return False
    if has < settings.concurrency:
        return True
    only = settings.workers == settings.concurrency == 1 and settings.memory_limit is None and settings.expired == "run"
    # That it has read what it works on is known from here on: it is what ends this worker, should anything do so before the answer.
    return only and has == 1 and worker.runs.quick and worker.runs.seconds < QUICK and worker.channel.all_read()
