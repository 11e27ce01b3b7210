"""The decorator: it leaves a mark and nothing else."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import os
import subprocess
import sys
import types
from typing import Any

import pytest

import nectar
from nectar import Computation, handler
from nectar.api.decorator import MARK, is_async, is_handler

SOURCE = os.path.dirname(os.path.dirname(nectar.__file__))


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


class Stands:
    def bound(self, comp: Computation) -> int:
        return 1

    @classmethod
    def of_class(cls, comp: Computation) -> int:
        return 1

    def __call__(self, comp: Computation) -> int:
        return 1


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (Stands, "Stands is a class; it goes on a function (a class may have hooks, with @nectar.hookimpl)"),
        (Stands(), "it goes on a function, which may call that; it was given a Stands"),
        (Stands().bound, "Stands.bound is bound to an object; it goes on a function, which may call that"),
        (Stands.of_class, "Stands.of_class is bound to an object; it goes on a function, which may call that"),
        (
            Stands.bound,
            "Stands.bound is a method, which is given an object first; move it out of the class",
        ),
        (vars(Stands)["of_class"], "Stands.of_class is a class method; move it out of the class"),
        (staticmethod(len), "len is a static method already; put @staticmethod above @handler"),
        (len, "len is not written in Python; it goes on a function, which may call that"),
        (functools.partial(max, 1), "it goes on a function, which may call that; it was given a partial"),
        (7, "it goes on a function, and was given an int; there is nothing to say in parentheses"),
        (None, "it goes on a function, and was given a NoneType; there is nothing to say in parentheses"),
        ("analyze", "it goes on a function, and was given a str; there is nothing to say in parentheses"),
    ],
)
def test_what_is_no_function_is_refused_and_told_as_what_it_is(thing: Any, told: str) -> None:
    with pytest.raises(TypeError) as error:
        handler(thing)
    assert str(error.value) == f"@handler: {told}"


def test_what_a_library_has_made_of_a_function_is_one() -> None:
    assert is_handler(handler(functools.lru_cache(lambda comp: 1)))
    assert is_handler(functools.lru_cache(handler(lambda comp: 1)))


def test_with_parentheses_it_is_the_same() -> None:
    @handler()
    def analyze(comp: Computation) -> int:
        return len(comp.query)

    assert is_handler(analyze)


def test_an_attribute_that_is_made_up_is_no_mark() -> None:
    class Anything:
        def __getattr__(self, name: str) -> bool:
            return True

    assert not is_handler(Anything())
    assert not is_handler(len)
    assert not is_handler(None)


PARTS = [
    ["", "a, /", "a, b=1, /"],
    ["", "c", "c=1", "c, d", "c=1, d=2"],
    ["*", "*rest", ""],
    ["", "e", "e=1", "e, f=2", "e=1, f"],
    ["", "**more"],
]


def signatures() -> list[str]:
    """Of every kind that there is, those that Python takes."""
    found = {", ".join(filter(None, parts)) for parts in itertools.product(*PARTS)}
    return sorted(each for each in found if _compiles(f"def f({each}): pass"))


def _compiles(text: str) -> bool:
    try:
        compile(text, "", "exec")
    except SyntaxError:
        return False
    return True


def test_what_can_be_called_with_one_is_what_inspect_says() -> None:
    seen = set()
    for each in signatures():
        made: dict[str, Any] = {}
        exec(f"def f({each}): pass", made)
        try:
            inspect.signature(made["f"]).bind(object())
            fits = True
        except TypeError:
            fits = False
        try:
            handler(made["f"])
            taken = True
        except TypeError:
            taken = False
        assert taken is fits, each
        seen.add(taken)
    assert seen == {True, False}


def analyze(comp: Computation) -> int:
    return len(comp.query)


def nothing() -> int:
    return 1


def coroutine() -> Any:
    async def inner(_comp: Computation) -> int:
        return 1

    return inner


class Object:
    def method(*given: Any) -> int:
        return len(given)

    @staticmethod
    async def later(comp: Computation) -> int:
        return len(comp.query)


def test_what_was_put_on_a_function_counts() -> None:
    @functools.wraps(analyze)
    def anything() -> int:
        return 1

    @functools.wraps(nothing)
    def one(_comp: Computation) -> int:
        return 1

    signed = types.FunctionType(nothing.__code__, {})
    signed.__signature__ = inspect.signature(analyze)  # type: ignore[attr-defined]
    assert is_handler(handler(anything))  # type: ignore[type-var]
    assert is_handler(handler(signed))
    with pytest.raises(TypeError, match="cannot be called with one"):
        handler(one)


def test_a_method_of_what_is_marked_is_marked_and_what_only_has_the_attribute_is_not() -> None:
    handler(Object.method)
    assert is_handler(Object().method)
    thing = Object()
    thing.__dict__[MARK] = True
    partial = functools.partial(analyze)
    partial.__dict__[MARK] = True
    assert not is_handler(thing)
    assert is_handler(partial) is inspect.isroutine(partial)
    assert not is_handler(Object)


@pytest.mark.parametrize("made", [analyze, coroutine(), functools.partial(coroutine()), Object().method, Object().later, len])
def test_what_is_a_coroutine_function_is_what_inspect_says(made: Any) -> None:
    assert is_async(made) is inspect.iscoroutinefunction(made)
    if hasattr(inspect, "markcoroutinefunction") and isinstance(made, types.FunctionType):
        copied = types.FunctionType(made.__code__, {})
        assert is_async(inspect.markcoroutinefunction(copied))


def test_a_handler_as_most_are_has_nothing_imported_that_takes_long() -> None:
    program = """
import json, signal, sys, traceback  # a worker cannot do without these, which bring more along in newer versions
before = {*sys.modules}
import nectar.runtime.worker.worker, nectar.runtime.worker.loader, nectar.runtime.worker.snapshot
from nectar import Computation, handler
from nectar.api.decorator import is_async, is_handler
@handler
def analyze(comp: Computation) -> int:
    return 1
assert is_handler(analyze) and not is_async(analyze) and not is_handler(Computation) and not is_handler(sys)
Computation.from_json(b'{"query": "", "proposer": "", "aggregators": [], "targets": [], "deadline": 1}', comp_id="")
print(*{"ast", "asyncio", "dataclasses", "inspect", "pathlib", "random", "socket", "subprocess", "typing"} & {*sys.modules} - before)
"""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({SOURCE!r}){program}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"
