"""How workers end: by whose doing, and what is said of it."""

from __future__ import annotations

import enum
import os

from nectar.runtime.daemon.job import Failure, Outcome
from nectar.runtime.frames import describe_status

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from nectar.protocol import Loading
    from nectar.runtime.daemon.job import Job
    from nectar.settings import Settings


class Cause(enum.Enum):
    """Why a worker ended: of several reasons the first."""

    ITSELF = "it ended by itself"
    DISMISSED = "it was asked to end"
    STOPPED = "it was stopped"
    OVERDUE = "it overstayed its deadline"
    SLOW = "it did not load in time"
    LINGERING = "nectar_answered took too long"
    MEMORY = "it took too much memory"
    CROWDED = "it had too many processes"
    ENGINE = "it lost the engine"
    CLOSED = "it closed its channel to nectar"
    NONSENSE = "it wrote something else on its channel to nectar"
    FAULT = "nectar failed while it dealt with it"


AFTERWARDS = 5.0
"""Seconds for a worker to look after an answer (``nectar_answered``)."""
SHARED = frozenset({Cause.ITSELF, Cause.CLOSED, Cause.NONSENSE, Cause.MEMORY, Cause.CROWDED})
"""What any of a worker's jobs may have brought about, and nobody knows which."""


def explain_no_start(error: OSError, python: str) -> Failure:
    """Why there is no process: of one that could not be started with this interpreter."""
    if not os.path.exists(python):
        return Failure(
            f"The Python of the handler's environment is not there any more: {os.path.realpath(python)}.",
            hint="nectar restart takes one that is there.",
        )
    return Failure(f"A worker cannot be started: {error.strerror}.", where=error.filename)


def explain_no_load(cause: Cause, status: int, settings: Settings) -> Failure:
    """Why the handler is not loaded: of a worker that ended before it was, without a word."""
    match cause:
        case Cause.SLOW:
            return Failure(
                f"The handler was not loaded within {settings.start_timeout:g} s.",
                hint="Raise start_timeout under [tool.nectar], or load less at import.",
            )
        case Cause.MEMORY:
            return Failure(
                f"The handler took too much memory while it was loaded{_beyond(cause, settings)}.",
                hint="Raise memory_limit under [tool.nectar], or load less at import.",
            )
        case Cause.CROWDED:
            return Failure(
                f"The handler had too many processes while it was loaded{_beyond(cause, settings)}.",
                hint="Raise sandbox_processes under [tool.nectar]; each thread counts, too.",
            )
        case Cause.FAULT:
            return Failure(f"A worker could not be used: {cause.value}.", hint="The log says how.")
        case _:
            return Failure(f"The worker {describe_status(status)} while it loaded the handler.")


def explain_no_engine(loading: Loading) -> Failure:
    """Why a worker has ended that was ready."""
    dask = loading.engine.get("dask")
    where = f" at {dask['address']}" if dask else ""
    return Failure(f"The connection to the engine's scheduler{where} was lost.")


def explain_shared_end(cause: Cause, status: int) -> str:
    """What to say of each job of a worker that ended while it had several."""
    how = f"A worker {describe_status(status)}" if cause is Cause.ITSELF else f"A worker was ended: {cause.value}."
    return f"{how.rstrip(',.')}; this computation, which it had beside others, is run again, by itself."


def explain_cut_off(cause: Cause, status: int, *, overdue: bool) -> str:
    """What to say of a ``nectar_answered`` that did not return.

    :param overdue: whether that is why its worker was ended.
    """
    if overdue and cause is Cause.LINGERING:
        return f"nectar_answered took longer than {AFTERWARDS:g} s, and its worker was ended"
    why = f"the worker {describe_status(status)}" if cause is Cause.ITSELF else f"the worker was ended: {cause.value}"
    return f"nectar_answered was cut off: {why.rstrip(',')}"


def explain_no_answer(job: Job, cause: Cause, status: int, settings: Settings, seconds: float) -> Outcome:
    """What becomes of a job whose worker ended in the middle of it.

    :param seconds: that it ran.
    """
    match cause:
        case Cause.OVERDUE:
            return Outcome("timeout", error=f"The handler did not answer within {job.deadline:g} s.", seconds=seconds)
        case Cause.ITSELF:
            return Outcome("error", error=f"The worker {describe_status(status)} before it had an answer.", seconds=seconds)
        case _:
            more = _beyond(cause, settings)
            return Outcome("error", error=f"The worker was ended: {cause.value}{more}.", seconds=seconds)


def _beyond(cause: Cause, settings: Settings) -> str:
    """Which limit it was, where there is one."""
    match cause:
        case Cause.MEMORY:
            return f" (memory_limit is {settings.memory_limit})"
        case Cause.CROWDED:
            return f" (sandbox_processes is {settings.sandbox_processes})"
        case _:
            return ""
