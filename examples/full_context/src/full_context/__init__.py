"""Uses everything that a question says about itself."""

from nectar import Computation, handler


@handler
def contextual_handler(comp: Computation) -> int:
    """Return the length of the question for each node that is asked; ``metadata`` may give a ``weight`` and ``own`` names."""
    score = len(comp.query) * len(comp.targets)
    weight = int(comp.metadata.get("weight", 1))  # `nectar submit --metadata weight=5` gives a string
    if comp.proposer in comp.metadata.get("own", []):
        return 0
    return score * weight
