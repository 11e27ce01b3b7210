"""The JSON of questions and answers, as a node writes and reads it."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar import Computation, ComputationResult
from nectar.api.computation import InvalidQuestionError, NotWholeError, read_object

QUESTION: dict[str, Any] = {
    "comp_id": "abc12345",
    "query": "How many?",
    "proposer": "alice",
    "aggregators": ["carol"],
    "targets": ["alice", "bob"],
    "deadline": 30,
    "timestamp": 1700000000.5,
    "metadata": {"a": [1, {"b": None}]},
    "response_schema": "integer",
}

texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
questions = st.builds(
    Computation,
    comp_id=texts,
    query=texts,
    proposer=texts,
    aggregators=st.lists(texts, max_size=3),
    targets=st.lists(texts, max_size=3),
    deadline=st.integers(1, 10**9) | st.floats(0.001, 1e9),
    timestamp=st.floats(-1e12, 1e12),
    metadata=st.dictionaries(texts, values, max_size=3),
    response_schema=texts,
)


def read(**changes: Any) -> Computation:
    return Computation.from_json(json.dumps({**QUESTION, **changes}).encode(), comp_id="abc12345")


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in QUESTION.items() if key != name}).encode()


@given(questions)
def test_a_question_is_read_as_it_was_written(question: Computation) -> None:
    assert Computation.from_json(question.to_json(), comp_id=question.comp_id) == question


@given(questions, st.data())
def test_no_beginning_of_a_question_is_one(question: Computation, data: st.DataObject) -> None:
    raw = question.to_json().rstrip()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(NotWholeError):
        Computation.from_json(raw[:cut], comp_id="x")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(raw: bytes) -> None:
    try:
        read_object(raw)
    except NotWholeError as error:
        assert str(error)


@given(st.dictionaries(st.sampled_from(sorted(QUESTION)), values))
def test_any_fields_make_a_question_or_an_error_that_quotes_nothing(fields: dict[str, Any]) -> None:
    try:
        question = read(**fields)
    except InvalidQuestionError as error:
        assert any(repr(name) in str(error) for name in QUESTION)
    else:
        assert isinstance(question.query, str)


def test_the_id_is_the_files_name_and_not_the_field() -> None:
    assert Computation.from_json(json.dumps(QUESTION).encode(), comp_id="other").comp_id == "other"


def test_a_question_without_an_id_is_one() -> None:
    assert Computation.from_json(without("comp_id"), comp_id="x").comp_id == "x"


def test_what_may_be_absent() -> None:
    needed = {name: QUESTION[name] for name in ("query", "proposer", "aggregators", "targets", "deadline")}
    question = Computation.from_json(json.dumps(needed).encode(), comp_id="x", timestamp=12.5)
    assert (question.timestamp, question.metadata, question.response_schema) == (12.5, {}, "integer")


@pytest.mark.parametrize("name", ["query", "proposer", "aggregators", "targets", "deadline"])
def test_what_may_not_be_absent(name: str) -> None:
    with pytest.raises(InvalidQuestionError, match=f"no field '{name}'"):
        Computation.from_json(without(name), comp_id="x")


def test_fields_that_are_not_known_are_no_error() -> None:
    assert read(new_field={"some": "thing"}) == read()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("query", 7, "not a string but a number"),
        ("query", None, "not a string but null"),
        ("proposer", True, "not a string but a boolean"),
        ("targets", "bob", "not a list of strings but a string"),
        ("targets", ["bob", 1], "there is a number in it"),
        ("metadata", [], "not an object but a list"),
        ("deadline", "30", "not a number but a string"),
        ("deadline", True, "not a number but a boolean"),
        ("deadline", 0, "not a positive number"),
        ("deadline", -1, "not a positive number"),
        ("deadline", 10**400, "that can be used"),
        ("timestamp", {}, "not a number but an object"),
        ("response_schema", 1, "not a string but a number"),
    ],
)
def test_a_wrong_type_is_named_and_its_value_is_not(field: str, value: object, said: str) -> None:
    with pytest.raises(InvalidQuestionError) as raised:
        read(**{field: value})
    assert repr(field) in str(raised.value)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff{}", "not UTF-8"),
        (b"[]", "a list"),
        (b'"text"', "a string"),
        (b"12", "a number"),
        (b"null", "null"),
        (b"{}{}", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number that cannot be read"),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_what_is_no_object_is_told_with_its_reason(raw: bytes, said: str) -> None:
    with pytest.raises(NotWholeError, match=said):
        read_object(raw)


def test_a_byte_order_mark_is_no_harm() -> None:
    assert read_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_no_reason_quotes_what_was_asked() -> None:
    with pytest.raises(NotWholeError) as raised:
        read_object(b'{"query": "the secret question", }')
    assert "secret" not in str(raised.value)


def test_a_question_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().query = "another"  # type: ignore[misc]


@given(
    st.builds(
        ComputationResult,
        comp_id=texts,
        status=st.just("success"),
        value=st.integers(),
        execution_time=st.floats(0, 1e6),
        claim=texts,
    )
    | st.builds(
        ComputationResult, comp_id=texts, status=st.sampled_from(["error", "timeout"]), error=texts, claim=st.none() | texts
    ),
)
def test_an_answer_is_read_as_it_was_written(answer: ComputationResult) -> None:
    assert ComputationResult.from_json(answer.to_json()) == answer


def test_the_five_fields_of_an_answer_stand_first() -> None:
    fields = json.loads(ComputationResult(comp_id="x", status="success", value=7, execution_time=0.5, claim="token").to_json())
    assert list(fields)[:5] == ["comp_id", "status", "result", "error", "execution_time"]
    assert fields["result"] == {"value": 7}
    assert json.loads(ComputationResult(comp_id="x", status="error", error="no").to_json())["result"] is None


@pytest.mark.parametrize(
    "fields",
    [
        QUESTION,
        {"comp_id": "x", "status": "done", "result": {"value": 1}},
        {"comp_id": "x", "status": "success", "result": None},
        {"comp_id": "x", "status": "success", "result": {"value": True}},
        {"comp_id": "x", "status": "success", "result": {"value": 1.0}},
        {"comp_id": "x", "status": "error", "result": {"value": 1}},
    ],
)
def test_what_is_no_answer_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuestionError):
        ComputationResult.from_json(json.dumps(fields).encode())


def test_what_is_private_does_not_show() -> None:
    question = Computation(comp_id="a1", query="secret", metadata={"key": "hidden"}, proposer="alice", deadline=5)
    for shown in (repr(question), str(question), f"{question}"):
        assert shown == (
            "Computation(comp_id='a1', query=…, proposer='alice', aggregators=[], targets=[], deadline=5, timestamp=0.0, metadata=…, "
            "response_schema='integer')"
        )


def test_a_result_shows_its_status_and_not_its_value() -> None:
    answer = ComputationResult(comp_id="x", status="success", value=4321, execution_time=0.5)
    assert repr(answer) == "ComputationResult(comp_id='x', status='success', value=…, error=None, execution_time=0.5, claim=None)"
    assert "value=None" in repr(ComputationResult(comp_id="x", status="error", error="no"))


def test_a_question_can_be_a_key() -> None:
    asked = []

    @functools.lru_cache
    def answer(comp: Computation) -> int:
        asked.append(comp)
        return len(comp.query)

    one, same = (Computation(comp_id="a1", query="abc", targets=["bob"]) for _ in range(2))
    assert (
        answer(one),
        answer(same),
        answer(dataclasses.replace(one, query="abcd")),
        answer(dataclasses.replace(one, targets=[])),
    ) == (3, 3, 4, 3)
    assert len(asked) == 3
