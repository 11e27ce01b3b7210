"""A question to try a handler with: what ``nectar test`` asks, and what an author's tests start from."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from nectar.api.computation import Computation

QUERY = "What is the answer to life and everything?"
"""42 characters, so that a handler which returns twice the length answers 84."""


def sample(query: str | None = None, **fields: Any) -> Computation:
    """Make a plausible question.

    :param query: the question; None is :data:`QUERY`.
    :param fields: any other field of :class:`~nectar.Computation`, instead of the plausible one.
    :raises TypeError: there is no such field.
    """
    question = Computation(
        comp_id="5eed1e55",
        query=QUERY if query is None else query,
        proposer="alice",
        aggregators=["carol", "dave"],
        targets=["alice", "bob", "erin"],
        deadline=30,
        timestamp=time.time(),
        metadata={},
    )
    return replace(question, **fields)
