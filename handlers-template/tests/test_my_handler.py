from my_handler import answer
from nectar.testing import ask, computation


def test_twice_the_length() -> None:
    assert ask(answer, computation(query="abc")) == 6


def test_an_empty_query() -> None:
    assert ask(answer, computation(query="")) == 0
