"""What a daemon's log has of a bug of ours."""

from __future__ import annotations

import pytest

from nectar.runtime.daemon.fault import MOST, describe_fault


def sink(depth: int) -> None:
    if depth:
        sink(depth - 1)
    raise ValueError("too deep")


def told(depth: int = 0) -> list[str]:
    with pytest.raises(ValueError, match="too deep") as raised:
        sink(depth)
    return describe_fault(raised.value).splitlines()


def test_it_says_what_was_raised_and_where() -> None:
    first, *steps, last = told()
    assert (first, last) == ("Traceback (most recent call last):", "ValueError: too deep")
    assert steps[-1] == f'  File "{__file__}", line {sink.__code__.co_firstlineno + 3}, in sink'


def test_of_many_steps_it_says_the_first_and_the_last() -> None:
    steps = told(depth=500)[1:-1]
    assert len(steps) == 2 * MOST + 1
    assert " more" in steps[MOST]


@pytest.mark.parametrize("cause", ["from", "during"])
def test_what_it_came_of_comes_first(cause: str) -> None:
    def fail() -> None:
        try:
            sink(0)
        except ValueError as error:
            if cause == "from":
                raise KeyError("gone") from error
            raise KeyError("gone")  # noqa: B904

    with pytest.raises(KeyError) as raised:
        fail()
    text = describe_fault(raised.value)
    assert text.index("ValueError: too deep") < text.index("Which led to:") < text.index("KeyError: 'gone'")


def test_what_was_hidden_is_not_told() -> None:
    def fail() -> None:
        try:
            sink(0)
        except ValueError:
            raise KeyError("gone") from None

    with pytest.raises(KeyError) as raised:
        fail()
    assert "ValueError" not in describe_fault(raised.value)
