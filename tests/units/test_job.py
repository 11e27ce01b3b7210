"""What is taken of a worker's words: whatever the handler's code may have written, within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from nectar.runtime.daemon.job import LONGEST, MAX_QUERY, Failure, Job, Outcome, read_failure, read_outcome, tell_outcome
from nectar.runtime.frames import MAX_DETAIL, MAX_ERROR

GOOD = {"status": "success", "value": 7, "error": None, "traceback": None, "seconds": 0.5}
BAD = {"status": "error", "value": None, "error": "no", "traceback": "at line 1", "seconds": 0.5}


@pytest.mark.parametrize("value", [0, -1, 1 << 100])
def test_an_integer_is_an_answer(value: int) -> None:
    assert read_outcome({**GOOD, "value": value}) == Outcome("success", value=value, seconds=0.5)


def test_an_error_says_what_and_where() -> None:
    assert read_outcome(BAD) == Outcome("error", error="no", traceback="at line 1", seconds=0.5)
    assert read_outcome({**BAD, "traceback": None}) == Outcome("error", error="no", seconds=0.5)


def test_a_worker_may_say_why_there_was_no_time() -> None:
    assert read_outcome({**BAD, "status": "timeout"}) == Outcome("timeout", error="no", traceback="at line 1", seconds=0.5)


def test_of_what_is_too_long_the_beginning_of_the_error_is_kept_and_the_end_of_the_traceback() -> None:
    outcome = read_outcome({**BAD, "error": "a" * MAX_ERROR + "b", "traceback": "a" + "b" * MAX_DETAIL})
    assert outcome == Outcome("error", error="a" * MAX_ERROR, traceback="b" * MAX_DETAIL, seconds=0.5)


@pytest.mark.parametrize("seconds", [0, 0.0, 1, 1e11, LONGEST - 1])
def test_a_time_is_any_that_can_be(seconds: float) -> None:
    assert read_outcome({**GOOD, "seconds": seconds}).seconds == seconds


@pytest.mark.parametrize("seconds", [None, True, "1", [], -1e-9, float("nan"), float("inf"), float("-inf"), LONGEST, 10**400])
@pytest.mark.parametrize("header", [GOOD, BAD])
def test_a_time_that_cannot_be_is_none(header: dict[str, Any], seconds: object) -> None:
    with pytest.raises(ValueError, match="its time is none"):
        read_outcome({**header, "seconds": seconds})
    with pytest.raises(ValueError, match="its time is none"):
        read_outcome({key: value for key, value in header.items() if key != "seconds"})


@pytest.mark.parametrize(
    "header",
    [
        {**GOOD, "value": True},
        {**GOOD, "value": 1.0},
        {**GOOD, "value": "7"},
        {**GOOD, "value": None},
        {**GOOD, "status": "timeout"},
        {**GOOD, "status": ["success"]},
        {"seconds": 1},
        {**BAD, "error": None},
        {**BAD, "error": 7},
        {**BAD, "traceback": 7},
        {**BAD, "status": "Error"},
    ],
)
def test_what_is_no_answer_is_none(header: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        read_outcome(header)


def test_why_it_could_not_load_is_in_its_words_within_bounds() -> None:
    header = {"message": "m" * 3000, "where": None, "hint": 7, "detail": "a" + "b" * MAX_DETAIL}
    assert read_failure(header) == Failure("m" * MAX_ERROR, hint="7", detail="b" * MAX_DETAIL)


@pytest.mark.parametrize("missing", ["message", "where", "hint", "detail"])
def test_a_reason_without_a_part_is_none(missing: str) -> None:
    header = dict.fromkeys(("message", "where", "hint", "detail"), "x")
    del header[missing]
    with pytest.raises(KeyError):
        read_failure(header)


# --- what the log says


def test_a_job_is_called_by_two_words() -> None:
    job = Job("my node", "a b\n", b"", 0.0, 1.0, lambda _: None)
    assert job.name == "my\\x20node a\\x20b\\n"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome("success", value=7, seconds=0.25), "success (0.250 s)"),
        (Outcome("error", error="no"), "error (not run): no"),
        (Outcome("timeout", error="late", seconds=2), "timeout (2.000 s): late"),
        (Outcome("error", error="no", traceback="here\nthere\n", seconds=1), "error (1.000 s): no\nhere\nthere"),
    ],
)
def test_an_outcome_is_told_without_what_is_private(outcome: Outcome, told: str) -> None:
    assert tell_outcome(outcome) == told


def test_it_is_told_with_that_where_it_is_wanted_within_bounds() -> None:
    assert tell_outcome(Outcome("success", value=7, seconds=0.25), "what's\nup") == 'success (0.250 s): 7 to query "what\'s\\nup"'
    assert tell_outcome(Outcome("error", error="no", traceback="here"), "why") == "error (not run): no\nquery 'why'\nhere"
    assert tell_outcome(Outcome("success", value=7, seconds=0), "a" * (MAX_QUERY + 1)).endswith(f"'{'a' * MAX_QUERY}'…")


ERROR = "MyError: first\nsecond"
HEAD = "Traceback (most recent call last):\n  File \"h.py\", line 1, in h\n    raise MyError('first\\nsecond')\n"
GROUP = '  + Exception Group Traceback (most recent call last):\n  |   File "h.py", line 1, in h\n'


@pytest.mark.parametrize(
    ("traceback", "left"),
    [
        (f"{HEAD}{ERROR}", HEAD),
        (f"{HEAD}{ERROR}\n", HEAD),
        (f"{HEAD}my.module.{ERROR}", HEAD),
        (f"{HEAD}h.<locals>.{ERROR}\na note", f"{HEAD}a note"),
        (f"{HEAD}{ERROR}\n\nDuring:\n\n{HEAD}{ERROR}", f"{HEAD}{ERROR}\n\nDuring:\n\n{HEAD}"),
        (f"{GROUP}  | {ERROR}\n  +-+---\n", f"{GROUP}  +-+---"),
        (f"{HEAD}Other{ERROR} and more", f"{HEAD}Other{ERROR} and more"),
        (f"{HEAD}see {ERROR}", f"{HEAD}see {ERROR}"),
        (HEAD, HEAD),
    ],
)
def test_the_text_of_an_exception_is_told_once(traceback: str, left: str) -> None:
    told = tell_outcome(Outcome("error", error=ERROR, traceback=traceback))
    assert told == f"error (not run): {ERROR}\n{left.rstrip()}"
