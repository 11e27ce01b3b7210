"""Handlers, good and bad, as mypy sees them: where it finds nothing wrong with a bad one, an unused ``ignore`` is what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from nectar import Computation, handler, hookimpl
from nectar.testing import computation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class Index:
    def __index__(self) -> int:
        return 7


@handler
def plain(comp: Computation) -> int:
    return len(comp.query)


@handler()
async def later(comp: Computation) -> int:
    return len(comp.query)


@handler
def index(comp: Computation) -> Index:
    return Index()


@handler
def more(comp: Computation, factor: int = 2, *rest: int, key: str = "") -> int:
    return factor


handler(lambda comp: len(comp.query))


@hookimpl
def nectar_worker_started() -> None:
    pass


@hookimpl(tryfirst=True)
def nectar_compute(computation: Computation) -> int | None:
    return None


async def keeps_their_types(comp: Computation) -> None:
    assert_type(plain(comp), int)
    assert_type(await later(comp), int)
    assert_type(more(comp, 3, key="a"), int)
    assert_type(nectar_compute(computation=comp), int | None)
    kept: Callable[[Computation], Index] = index
    kept(computation("abc", deadline=5, targets=["bob"], metadata={"weight": 2}))


@handler  # type: ignore[type-var]
def half(comp: Computation) -> float:
    return 0.5


@handler  # type: ignore[type-var]
def nothing(comp: Computation) -> None:
    pass


@handler  # type: ignore[type-var]
def text(comp: Computation) -> str:
    return comp.query


@handler  # type: ignore[type-var]
async def half_later(comp: Computation) -> float:
    return 0.5


@handler()  # type: ignore[type-var]
def maybe(comp: Computation) -> int | None:
    return None


@handler  # type: ignore[type-var]
def yields(comp: Computation) -> Iterator[int]:
    yield 1


@handler  # type: ignore[type-var]
async def yields_later(comp: Computation) -> AsyncIterator[int]:
    yield 1


@handler  # type: ignore[type-var]
def of_text(query: str) -> int:
    return len(query)


@handler  # type: ignore[type-var]
def of_two(comp: Computation, other: int) -> int:
    return other


@handler  # type: ignore[type-var]
def of_none() -> int:
    return 1


plain("abc")  # type: ignore[arg-type]
computation(deadlin=5)  # type: ignore[call-arg]
computation(deadline="5")  # type: ignore[arg-type]
Computation(comp_id="a", query="b").query = "c"  # type: ignore[misc]
