"""A question to try a handler with: what ``nectar test`` asks, and what an author's tests start from."""

from __future__ import annotations

import time
from typing import Any

from nectar.api.computation import Computation

QUERY = "What is the answer to life and everything?"
"""42 characters, so that a handler which returns twice the length answers 84."""


def sample(
    query: str | None = None,
    *,
    comp_id: str = "5eed1e55",
    proposer: str = "alice",
    aggregators: list[str] | None = None,
    targets: list[str] | None = None,
    deadline: float = 30,
    timestamp: float | None = None,
    metadata: dict[str, Any] | None = None,
    response_schema: str = "integer",
) -> Computation:
    """Make a plausible question, of which any field of :class:`~nectar.Computation` may be given.

    :param query: None is a question of 42 characters.
    :param timestamp: None is now.
    """
    return Computation(
        comp_id=comp_id,
        query=QUERY if query is None else query,
        proposer=proposer,
        aggregators=["carol", "dave"] if aggregators is None else aggregators,
        targets=["alice", "bob", "erin"] if targets is None else targets,
        deadline=deadline,
        timestamp=time.time() if timestamp is None else timestamp,
        metadata={} if metadata is None else metadata,
        response_schema=response_schema,
    )


def make_question(given: Computation | str | None) -> Computation:
    """What a handler gets of a question that a node wrote: nothing in it is shared with whoever asks.

    :param given: the question, or its query; None is a plausible one.
    :raises TypeError: something in it cannot be written.
    """
    question = given if isinstance(given, Computation) else sample(given)
    return Computation.from_json(question.to_json(), comp_id=question.comp_id)
