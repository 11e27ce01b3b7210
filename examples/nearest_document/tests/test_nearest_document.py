import pytest

from nearest_document import DOCUMENTS
from nectar.testing import Worker


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("How do bees keep warm in winter?", 1),
        ("What are the walls of a comb like?", 8),
        ("songs of whales", 25),
        ("mistletoe", 32),
    ],
)
def test_the_document_is_found(worker: Worker, query: str, line: int) -> None:
    assert worker.ask(query) == line


def test_each_document_is_most_like_itself(worker: Worker) -> None:
    assert worker.ask_all(DOCUMENTS) == [*range(1, len(DOCUMENTS) + 1)]
