"""What handler authors import in their tests."""

from __future__ import annotations

import asyncio
import enum
import functools
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import nectar
from nectar import Computation, handler
from nectar.api.answers import as_integer
from nectar.testing import ask, computation, computations
from nectar.testing.sample import QUERY, sample

pytest_plugins = ["pytester"]


class Indexed:
    def __index__(self) -> int:
        return 7


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(("value", "integer"), [(7, 7), (-1, -1), (2**70, 2**70), (Indexed(), 7), (Level.HIGH, 3)])
def test_what_is_an_integer(value: object, integer: int) -> None:
    assert as_integer(value) == integer
    assert type(as_integer(value)) is int


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "None"),
        (True, "bool"),
        (7.0, "float"),
        ("7", "str"),
        (b"7", "bytes"),
        ([7], "list"),
        (Fraction(7), "fractions.Fraction"),
    ],
)
def test_what_is_none_is_named_by_its_type_and_not_by_its_value(value: object, named: str) -> None:
    with pytest.raises(TypeError) as raised:
        as_integer(value)
    assert named in str(raised.value)
    assert "7" not in str(raised.value)


def test_numpys_boolean_is_no_integer_whatever_numpy_says() -> None:
    boolean = type("bool_", (Indexed,), {"__module__": "numpy"})
    with pytest.raises(TypeError, match="bool"):
        as_integer(boolean())


def test_the_sample_has_42_characters() -> None:
    assert len(QUERY) == 42
    assert sample().query == QUERY


def test_a_sample_with_other_fields() -> None:
    question = computation("abc", deadline=5, targets=["bob"], metadata={"a": 1})
    assert (question.query, question.deadline, question.targets, question.metadata) == ("abc", 5, ["bob"], {"a": 1})
    assert Computation.from_json(question.to_json(), comp_id=question.comp_id) == question


def test_a_field_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="querry"):
        computation(querry="abc")  # type: ignore[call-arg]


@handler
def twice(comp: Computation) -> int:
    return len(comp.query) * 2


@handler
async def twice_later(comp: Computation) -> int:
    return len(comp.query) * 2


@pytest.mark.parametrize("function", [twice, twice_later])
def test_asking(function: Any) -> None:
    assert ask(function) == 84
    assert ask(function, computation("abc")) == 6


def test_each_computation_is_the_one_that_runs() -> None:
    @handler
    async def is_itself(comp: Computation) -> int:
        return int(nectar.comp_id.get() == comp.comp_id)

    assert [ask(is_itself, computation(comp_id=name)) for name in "abc"] == [1, 1, 1]


def test_asking_what_is_no_handler() -> None:
    with pytest.raises(TypeError, match="no @handler on it"):
        ask(lambda comp: 1)


def test_an_answer_that_nectar_would_refuse() -> None:
    @handler
    def half(comp: Computation) -> Any:
        return len(comp.query) / 2

    with pytest.raises(TypeError, match="float"):
        ask(half)


def test_pytest_finds_the_fixture_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(computation):
            assert computation(query="abc").query == "abc"
        """,
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


class Client:
    """Bound to the loop in which it was made, as those of most libraries."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    async def length(self, text: str) -> int:
        assert asyncio.get_running_loop() is self.loop
        await asyncio.sleep(0)
        return len(text)


CLIENTS: list[Client] = []


def timed(function: Any) -> Any:
    @functools.wraps(function)
    def call(comp: Computation) -> Any:
        return function(comp)

    return call


@handler
@timed
async def keeps_a_client(comp: Computation) -> int:
    if not CLIENTS:
        CLIENTS.append(Client())
    return await CLIENTS[0].length(comp.query)


def test_what_is_kept_between_questions_stays_usable_in_async_tests_too() -> None:
    async def test() -> int:
        return ask(keeps_a_client, computation("abc"))

    assert ask(keeps_a_client, computation("ab")) == 2
    assert asyncio.run(test()) == 3
    assert ask(keeps_a_client, computation("a")) == 1


CASES = {
    "short.json": '{"query": "abc", "expected": 6}',
    "long.json": '{"query": "abcdef", "comp_id": "7", "deadline": 5, "expected": 12}',
    "notes.txt": "none",
}
ASKS_ALL = """
    from nectar import handler
    from nectar.testing import computations

    @handler
    def twice(comp):
        return len(comp.query) * 2

    test_computations = computations(twice, "computations")
    """


def test_a_directory_of_computations_is_a_test_of_each(pytester: pytest.Pytester, tmp_path: Path) -> None:
    directory = pytester.mkdir("computations")
    for name, text in CASES.items():
        (directory / name).write_text(text)
    pytester.makepyfile(test_all=ASKS_ALL)
    ended = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider")
    ended.assert_outcomes(passed=2)
    ended.stdout.fnmatch_lines(["*test_computations*long* PASSED*", "*test_computations*short* PASSED*"])
    (directory / "wrong.json").write_text('{"query": "abc", "expected": 7}')
    ended = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    ended.assert_outcomes(passed=2, failed=1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "has no file NAME.json"),
        ('{"query": "abc"}', "wrong.json: its field 'expected' is no integer"),
        ('{"query": "abc", "expected": true}', "wrong.json: its field 'expected' is no integer"),
        ('{"query": 7, "expected": 7}', "wrong.json: its field 'query' is not a string but a number"),
        ('{"query": "a", "expected": 7', "wrong.json: it is not JSON"),
        ("[7]", "wrong.json: it is not a JSON object but a list"),
    ],
)
def test_what_is_wrong_with_a_directory_of_computations_is_told(text: str | None, why: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "wrong.json").write_text(text)
    with pytest.raises(ValueError, match=re.escape(why)):
        computations(twice, tmp_path)


def test_a_pipe_among_the_computations_hangs_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ValueError, match=r"pipe\.json: it is a pipe"):
        computations(twice, tmp_path)


def test_an_answer_that_the_network_changes_is_a_warning_with_the_value() -> None:
    for value in (0, 2**32 - 1):
        assert ask(handler(lambda _comp, value=value: value)) == value
    with pytest.warns(UserWarning, match=r"^-1 is outside 0 … 2\*\*32 - 1: out of the network it comes as 4294967295\.$") as told:
        assert ask(handler(lambda _comp: -1)) == -1
    assert told[0].filename == __file__


def test_what_is_changed_in_one_run_reaches_no_other() -> None:
    @handler
    def changing(comp: Computation) -> int:
        comp.targets.append("x")
        comp.metadata["seen"] = True
        return len(comp.targets) + len(comp.metadata)

    question = computation(targets=["bob"])
    assert [ask(changing, question), ask(changing, question)] == [3, 3]
    assert (question.targets, question.metadata) == (["bob"], {})
