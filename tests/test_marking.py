"""The decorator: it leaves a mark and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nectar import Computation, handler
from nectar.api.decorator import is_handler


def test_the_function_stays_as_it_is() -> None:
    def analyze(comp: Computation) -> int:
        return len(comp.query)

    assert handler(analyze) is analyze
    assert is_handler(analyze)
    assert analyze(Computation(comp_id="x", query="abc")) == 3


def test_async_functions_can_be_handlers() -> None:
    @handler
    async def analyze(comp: Computation) -> int:
        return len(comp.query)

    assert is_handler(analyze)
    assert asyncio.run(analyze(Computation(comp_id="x", query="abc"))) == 3


@pytest.mark.parametrize(
    "function",
    [
        lambda comp: 1,
        lambda comp, more=2: 1,
        lambda *questions: 1,
        lambda comp, *rest, key=1, **more: 1,
    ],
)
def test_what_takes_one_argument_is_accepted(function: Any) -> None:
    assert is_handler(handler(function))


@pytest.mark.parametrize(
    "function",
    [lambda: 1, lambda a, b: 1, lambda a, *, b: 1, lambda *, comp: 1],
)
def test_what_cannot_be_called_with_one_is_refused_with_the_way_to_write_it(function: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot be called with one computation.*write it as"):
        handler(function)


def test_a_generator_is_refused() -> None:
    def analyze(comp: Computation) -> Any:
        yield len(comp.query)

    with pytest.raises(TypeError, match="yields"):
        handler(analyze)


@pytest.mark.parametrize("thing", [int, object(), 7, None, "analyze"])
def test_what_is_no_function_is_refused(thing: Any) -> None:
    with pytest.raises(TypeError, match="it was given"):
        handler(thing)


def test_parentheses_are_refused() -> None:
    with pytest.raises(TypeError):
        handler()  # type: ignore[call-arg]


def test_an_attribute_that_is_made_up_is_no_mark() -> None:
    class Anything:
        def __getattr__(self, name: str) -> bool:
            return True

    assert not is_handler(Anything())
    assert not is_handler(len)
    assert not is_handler(None)
