"""What is the question about? The function is here, what it goes by in two modules, and what these go by in files of the package."""

from nectar import Computation, handler
from several_modules.topics import TOPICS
from several_modules.words import words_of


@handler
def topic(comp: Computation) -> int:
    """Return the number of the topic with most words in the question: 1 for the first in alphabetical order, 0 for none."""
    words = words_of(comp.query)
    counts = [len(words & known) for known in TOPICS.values()]
    return 1 + counts.index(max(counts)) if any(counts) else 0
