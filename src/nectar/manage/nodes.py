"""Asking as a node would: a question is put into an alias's directory, and its answer is awaited there."""

from __future__ import annotations

import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from nectar.computation import Computation, ComputationResult, InvalidQuestionError, NotWholeError
from nectar.errors import NectarError, UnresponsiveError

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.home import Home

_POLL = 0.01


def ask(home: Home, alias: str, query: str, *, deadline: int, metadata: dict[str, Any]) -> ComputationResult:
    """Ask a question and wait for the answer, which is removed once it has been read.

    :param deadline: seconds.
    :raises NotFoundError: the alias does not exist.
    :raises UnresponsiveError: there was no answer in time. A question that nobody has begun to answer is taken back.
    """
    directory = home.require_alias(alias)
    comp_id = put(home, alias, query, deadline=deadline, metadata=metadata)
    pending, complete = (directory / f"{comp_id}.{suffix}" for suffix in ("pending", "complete"))
    end = time.monotonic() + deadline
    try:
        while not complete.exists():
            if time.monotonic() > end:
                waits = pending.exists()
                raise UnresponsiveError(
                    f"There was no answer within {deadline} seconds.",
                    where=str(complete),
                    hint="Nobody took the question: nectar view shows who answers for whom." if waits else "It is being worked on.",
                )
            time.sleep(_POLL)
    except BaseException:
        pending.unlink(missing_ok=True)
        raise
    return _read(complete, comp_id)


def put(home: Home, alias: str, query: str, *, deadline: int, metadata: dict[str, Any]) -> str:
    """Ask a question without waiting.

    :returns: its id.
    """
    directory = home.require_alias(alias)
    comp_id = secrets.token_hex(4)
    question = Computation(
        comp_id=comp_id,
        query=query,
        proposer=alias,
        aggregators=[alias],
        targets=[alias],
        deadline=deadline,
        timestamp=time.time(),
        metadata=metadata,
    )
    aside = directory / f".{comp_id}.asking"
    try:
        aside.write_bytes(question.to_json())
        os.rename(aside, directory / f"{comp_id}.pending")
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise NectarError(f"The question cannot be written: {error.strerror}.", where=str(directory)) from None
    return comp_id


def _read(complete: Path, comp_id: str) -> ComputationResult:
    try:
        answer = ComputationResult.from_json(complete.read_bytes())
    except (NotWholeError, InvalidQuestionError) as error:
        raise NectarError(f"The answer cannot be read: {error}.", where=str(complete)) from None
    complete.unlink(missing_ok=True)
    if answer.comp_id != comp_id:
        raise NectarError(f"The answer is to another question, {answer.comp_id!r}.", where=str(complete))
    return answer
