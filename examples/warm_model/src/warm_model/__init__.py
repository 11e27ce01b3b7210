"""Loads a model once for each worker, and looks after every answer.

The function that answers is here; what happens around it is in :mod:`warm_model.hooks`.
"""

from nectar import Computation, handler
from warm_model.model import MODEL


@handler
def mood(comp: Computation) -> int:
    """Return the sum of what the words of the question weigh; it may be negative."""
    return MODEL.score(comp.query)
