"""How long is the question? The simplest handler there is."""

from nectar import Computation, handler


@handler
def query_length(comp: Computation) -> int:
    """Return query length."""
    return len(comp.query)
