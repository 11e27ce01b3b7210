import pytest

from nectar.testing import ask, computation
from sentiment import sentiment


@pytest.mark.parametrize(
    ("query", "lowest", "highest"),
    [
        ("I love this hive!", 150, 200),
        ("This is horrible.", 0, 50),
        ("How many?", 100, 100),
        ("", 100, 100),
    ],
)
def test_how_it_sounds(query: str, lowest: int, highest: int) -> None:
    assert lowest <= ask(sentiment, computation(query=query)) <= highest


def test_the_scale_has_no_answer_below_zero() -> None:
    assert ask(sentiment, computation(query="horrible awful terrible worst evil " * 100)) == 0
