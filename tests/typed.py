"""Handlers, good and bad, as mypy and pyright see them: where one finds nothing wrong with a bad one, it finds an ``ignore`` that is
unused. Neither can tell a ``bool``, which is an ``int`` to them, and is refused when it is returned.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, assert_type

from nectar import Computation, handler, hookimpl
from nectar.testing import ask, computation, worker

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


class Static:
    @staticmethod
    @handler
    def answer(comp: Computation) -> int:
        return 1


handler(lambda comp: len(comp.query))  # pyright: ignore  # noqa: PGH003 - which infers no argument of a lambda
handler(functools.lru_cache(plain))


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
    assert_type(Static.answer(comp), int)
    assert_type(ask(later, comp), int)
    with worker("name", project=".") as loaded:
        assert_type(loaded.ask_all(["a", comp], concurrency=2), list[int])


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


class Methods:
    @handler  # type: ignore[type-var]
    def answer(self, comp: Computation) -> int:
        return 1


handler(Methods)  # type: ignore[type-var]


@handler("name")  # type: ignore[call-overload, untyped-decorator]
def named(comp: Computation) -> int:
    return 1


@handler(deadline=5)  # type: ignore[call-overload, untyped-decorator]
def with_options(comp: Computation) -> int:
    return 1


@hookimpl(first=True)  # type: ignore[call-overload, untyped-decorator]
def nectar_worker_stopping() -> None:
    pass


plain("abc")  # type: ignore[arg-type]
ask(plain, 7)  # type: ignore[arg-type]
computation(deadlin=5)  # type: ignore[call-arg]
computation(deadline="5")  # type: ignore[arg-type]
Computation(comp_id="a", query="b").query = "c"  # type: ignore[misc]
