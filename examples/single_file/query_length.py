"""The same as the package query_length, as a single file: nectar wraps it."""

from nectar import Computation, handler


@handler
def query_length(comp: Computation) -> int:
    """Return query length."""
    return len(comp.query)
