"""One run: what a worker is asked to do, and what became of it."""

from __future__ import annotations

import re

from nectar.events import as_word
from nectar.frozen import NamedTuple
from nectar.runtime.frames import MAX_DETAIL, MAX_ERROR

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nectar.api.computation import Status

MAX_WARNINGS = 20
MAX_NAME = 500
"""Characters of what a job is called."""
MAX_QUERY = 1000
"""Characters of a query in the log."""
LONGEST = 1e12
"""Seconds of a run, beyond which somebody has made them up."""


class Outcome(NamedTuple):
    """What became of a run.

    :ivar seconds: that the function ran; None where it is not known to have run.
    :ivar traceback: the author's, for the log alone.
    """

    status: Status
    value: int | None = None
    error: str | None = None
    seconds: float | None = None
    traceback: str | None = None


class Job(NamedTuple):
    """One run to be done.

    :ivar alias: whose question it is.
    :ivar deadline: seconds.
    :ivar done: called with the outcome, or with None when the pool was stopped in the middle of it.
    :ivar again: called instead where it was lost with the engine that ran it; None has it run as if it had not begun.
    :ivar key: what this is to its owner.
    :ivar alone: whether it is to have a worker to itself, so that what becomes of that one is its own doing.
    """

    alias: str
    comp_id: str
    body: bytes
    timestamp: float
    deadline: float
    done: Callable[[Outcome | None], None]
    key: object = None
    alone: bool = False
    again: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        """As the log calls it: two words."""
        return f"{as_word(self.alias)} {as_word(self.comp_id)}"[:MAX_NAME]


class Failure(NamedTuple):
    """Why a worker could not be made ready: the parts of a :class:`nectar.errors.NectarError`."""

    message: str
    where: str | None = None
    hint: str | None = None
    detail: str | None = None


def read_outcome(header: dict[str, Any]) -> Outcome:
    """The outcome in a worker's answer, within bounds: the handler's code may have written it.

    :raises KeyError, ValueError: it is none.
    """
    seconds = header.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < LONGEST:
        raise ValueError("its time is none")
    if header["status"] == "success" and type(value := header["value"]) is int:
        return Outcome("success", value, None, seconds)
    error, traceback = header["error"], header["traceback"]
    if (
        (status := header["status"]) in ("error", "timeout")
        and isinstance(error, str)
        and (traceback is None or isinstance(traceback, str))
    ):
        return Outcome(status, None, error[:MAX_ERROR], seconds, traceback and traceback[-MAX_DETAIL:])
    raise ValueError("it is no answer")


def tell_outcome(outcome: Outcome, query: str | None = None) -> str:
    """What the log says of a run.

    :param query: None where neither that nor the value, which are private, is to be told.
    """
    took = "not run" if outcome.seconds is None else f"{outcome.seconds:.3f} s"
    head = f"{outcome.status} ({took})"
    asked = "" if query is None else f"query {query[:MAX_QUERY]!r}" + ("…" if len(query) > MAX_QUERY else "")
    if outcome.status == "success":
        return f"{head}: {outcome.value} to {asked}" if asked else head
    error = outcome.error or ""
    return "\n".join(filter(None, (f"{head}: {error}", asked, _without_text((outcome.traceback or "").rstrip(), error))))


def _without_text(traceback: str, error: str) -> str:
    """A traceback without the exception's text, which has been told; it may have its module before it, or a group's bar."""
    at = traceback.rfind(error)
    begin, end = traceback.rfind("\n", 0, max(at, 0)) + 1, at + len(error)
    if at < 0 or traceback[end : end + 1] not in ("", "\n") or not re.fullmatch(r"[\s|+]*[\w.<>]*", traceback[begin:at]):
        return traceback
    return (traceback[:begin] + traceback[end:].removeprefix("\n")).rstrip()


def read_warnings(header: dict[str, Any]) -> list[str]:
    """What a worker that has loaded the handler says of that, within bounds.

    :raises KeyError, TypeError: there is none.
    """
    return [str(text)[:MAX_ERROR] for text in list(header["warnings"])[:MAX_WARNINGS]]


def read_complaint(header: dict[str, Any]) -> tuple[str | None, str | None]:
    """What a hook raised after an answer, and its traceback, within bounds; None where it raised nothing.

    :raises KeyError, ValueError: it is none.
    """
    error, traceback = header["error"], header["traceback"]
    if not (error is None or isinstance(error, str)) or not (traceback is None or isinstance(traceback, str)):
        raise ValueError("it is no complaint")
    return error and error[:MAX_ERROR], traceback and traceback[-MAX_DETAIL:]


def read_failure(header: dict[str, Any]) -> Failure:
    """Why the handler could not be loaded, in the worker's words, within bounds.

    :raises KeyError: a part is missing.
    """
    parts = {key: None if header[key] is None else str(header[key])[-MAX_DETAIL:] for key in ("where", "hint", "detail")}
    return Failure(str(header["message"])[:MAX_ERROR], **parts)
