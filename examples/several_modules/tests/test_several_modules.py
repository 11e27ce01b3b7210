import pytest

from nectar.testing import ask, computation
from several_modules import topic
from several_modules.topics import TOPICS


def test_the_files_are_in_the_package() -> None:
    assert list(TOPICS) == ["bees", "food", "weather"]


@pytest.mark.parametrize(
    ("query", "answer"), [("Where is the queen of the hive?", 1), ("Honey soup for dinner", 2), ("Rain!", 3), ("Who?", 0)]
)
def test_the_topic_with_most_words(query: str, answer: int) -> None:
    assert ask(topic, computation(query=query)) == answer
