"""How near is the question to one that we know? A single file, which names its dependency and its settings in itself."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["rapidfuzz>=3"]
#
# [tool.nectar]
# deadline = 5
# ///

from rapidfuzz import fuzz, process

from nectar import Computation, handler

KNOWN = ["How many of you are there?", "How old are you?", "Where do you live?"]


@handler
def nearest(comp: Computation) -> int:
    """Return 0 to 100: 100 for one of those, whatever the order of its words."""
    _, score, _ = process.extractOne(comp.query, KNOWN, scorer=fuzz.token_sort_ratio)
    return round(score)
