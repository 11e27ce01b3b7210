"""Which of the documents is the question about? Each is compared with it, a batch at a time, wherever ``nectar.executor()`` runs it.

What is sent there is the question and the numbers of documents: these themselves are in the environment of each engine's worker.
"""

from collections import Counter
from importlib.resources import files
from itertools import repeat
from math import sqrt

import nectar
from nectar import Computation, handler

DOCUMENTS = (files("nearest_document") / "documents.txt").read_text(encoding="utf-8").splitlines()
BATCH = 8
"""How many are compared in one part: so many that sending it takes a small part of the time."""


def triples(text: str) -> Counter[str]:
    """How often each group of three letters stands in a text."""
    text = f" {text.lower()} "
    return Counter(text[at : at + 3] for at in range(len(text) - 2))


def likeness(one: Counter[str], other: Counter[str]) -> float:
    """From 0 to 1, how alike two texts are: the cosine between their groups of letters."""
    common = sum(count * other[group] for group, count in one.items())
    return common / sqrt(sum(count**2 for count in one.values()) * sum(count**2 for count in other.values()))


def nearest_of(batch: range, query: str) -> tuple[float, int]:
    """Of some documents the one that is most like the question, behind how much it is: one part."""
    asked = triples(query)
    return max((likeness(asked, triples(DOCUMENTS[number])), number) for number in batch)


@handler
def nearest(comp: Computation) -> int:
    """Return the number of the document, as an editor counts lines."""
    numbers = range(len(DOCUMENTS))
    batches = [numbers[start : start + BATCH] for start in numbers[::BATCH]]
    _, number = max(nectar.executor().map(nearest_of, batches, repeat(comp.query)))
    return number + 1
