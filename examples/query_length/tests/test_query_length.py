import pytest

from nectar.testing import Node, ask, computation
from query_length import query_length


@pytest.mark.parametrize(("query", "answer"), [("", 0), ("How many?", 9), ("Wie schön?", 10)])
def test_characters_are_counted(query: str, answer: int) -> None:
    assert ask(query_length, computation(query=query)) == answer


def test_as_it_is_launched(node: Node) -> None:
    assert node.ask("How many?") == 9
