"""Answers computations of a bee-hive node."""

from nectar import Computation, handler


@handler
def answer(comp: Computation) -> int:
    """Return the answer: an integer, 0 to 2**32 - 1."""
    return len(comp.query) * 2
