"""What a node gets for its questions, from a daemon that runs for real."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.runtime.conftest import EITHER_WAY

if TYPE_CHECKING:
    from tests.runtime.conftest import Running


@pytest.mark.parametrize("in_place", [True, False])
def test_a_question_is_answered_however_it_is_written(chameleon: Running, in_place: bool) -> None:
    node = chameleon.attached()
    answer = node.ask("number 42", in_place=in_place)
    assert answer["status"] == "success"
    assert answer["result"] == {"value": 42}
    assert answer["error"] is None
    assert answer["execution_time"] >= 0
    assert node.left() == []


def test_a_question_that_was_there_before_is_answered_at_the_attach(chameleon: Running) -> None:
    node = chameleon.node()
    node.put("early", "number 5")
    chameleon.attach(node)
    assert node.answer("early")["result"] == {"value": 5}


def test_the_garbage_of_a_handler_is_collected(chameleon: Running) -> None:
    assert chameleon.attached().ask("collects")["result"] == {"value": True}


def test_twenty_aliases_at_once(chameleon: Running) -> None:
    nodes = [chameleon.node() for _ in range(20)]
    chameleon.attach(*nodes)
    for number, node in enumerate(nodes):
        for question in range(5):
            node.put(f"q{question}", f"number {number * 100 + question}", in_place=question % 2 == 0)
    for number, node in enumerate(nodes):
        for question in range(5):
            assert node.answer(f"q{question}")["result"] == {"value": number * 100 + question}


def test_detached_questions_stay_and_are_answered_after_the_next_attach(chameleon: Running) -> None:
    node = chameleon.attached()
    chameleon.detach(node)
    node.put("later", "number 6")
    time.sleep(1.5)  # longer than the daemon's own round, in which it must not touch the question
    assert node.left() == ["later.pending"]
    chameleon.attach(node)
    assert node.answer("later")["result"] == {"value": 6}


def test_detach_waits_for_what_runs(chameleon: Running) -> None:
    node = chameleon.attached()
    node.put("running", "sleep 1")
    node.until_claimed("running")
    chameleon.detach(node)
    assert node.answer("running", seconds=0.1)["status"] == "success"


@EITHER_WAY
@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("raise no", "error", "ValueError: the handler says no"),
        ("kind float", "error", "TypeError: the handler returned a float"),
        ("kind none", "error", "TypeError: the handler returned None"),
        ("kind text", "error", "TypeError: the handler returned a str"),
        ("kind true", "error", "TypeError: the handler returned a bool"),
        ("kind huge", "error", "OverflowError: the handler returned an integer of 100001 bits"),
        ("segfault", "error", "The worker was ended by SIGSEGV"),
        ("abort", "error", "The worker was ended by SIGABRT"),
        ("kill", "error", "The worker was ended by SIGKILL"),
        ("leave 0", "error", "The worker ended with exit code 0"),
        ("leave 3", "error", "The worker ended with exit code 3"),
        ("exit", "error", "SystemExit: bye"),
        ("recurse", "error", "RecursionError"),
        ("spin", "timeout", "did not answer within 0.3 s"),
        ("native", "timeout", "did not answer within 0.3 s"),
        ("sleep 60", "timeout", "did not answer within 0.3 s"),
        ("close", "error", "The worker"),
        ("scribble", "error", "The worker was ended: it wrote something else"),
    ],
)
def test_what_goes_wrong_costs_one_answer(chameleon: Running, query: str, status: str, error: str) -> None:
    node = chameleon.attached()
    answer = node.ask(query, deadline=0.3 if status == "timeout" else 60)
    assert (answer["status"], answer["result"]) == (status, None)
    assert error in answer["error"]
    assert node.ask("number 1")["result"] == {"value": 1}
    assert node.left() == []


@EITHER_WAY
@pytest.mark.parametrize("query", ["deaf", "fork", "thread", "patch", "wander", "flood 30"])
def test_what_code_does_to_its_process_stays_there(chameleon: Running, query: str) -> None:
    node = chameleon.attached()
    assert node.ask(query)["result"] == {"value": 1}
    assert node.ask("number 2")["result"] == {"value": 2}
    assert node.left() == []
    node.ask("kill")  # a fresh worker for whoever comes next


@pytest.mark.parametrize(("query", "value"), [("kind negative", -1), ("kind large", 1 << 40)])
def test_any_integer_is_an_answer(chameleon: Running, query: str, value: int) -> None:
    assert chameleon.attached().ask(query)["result"] == {"value": value}


def test_the_worker_stays_warm(chameleon: Running) -> None:
    node = chameleon.attached()
    assert node.ask("pid")["result"] == node.ask("pid")["result"]


@EITHER_WAY
@needs.proc
def test_a_hang_leaves_no_process(chameleon: Running) -> None:
    node = chameleon.attached()
    node.ask("number 1")
    since = chameleon.processes()
    assert node.ask("family 60", deadline=1)["status"] == "timeout"
    node.ask("number 1")
    chameleon.until_none_but_the_worker(since)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"not json", "it is not JSON"),
        # For two seconds each of these may be the beginning of one; wherever a question is looked at, it is looked at like this.
        pytest.param(b"\xff\xfe", "it is not UTF-8", marks=pytest.mark.anywhere),
        pytest.param(b"", "it is not JSON", marks=pytest.mark.anywhere),
        pytest.param(b"[]", "it is not a JSON object but a list", marks=pytest.mark.anywhere),
        (b'{"comp_id": "x"}', "it has no field 'query'"),
        (b"[" * 10_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_question_gets_an_error_that_says_why(chameleon: Running, content: bytes, error: str) -> None:
    node = chameleon.attached()
    (node.directory / "bad.pending").write_bytes(content)
    answer = node.answer("bad")
    assert answer["status"] == "error"
    assert error in answer["error"]
    assert answer["execution_time"] is None


def test_fields_that_are_not_known_are_no_error(chameleon: Running) -> None:
    node = chameleon.attached()
    fields = json.loads(node.question("q", "number 3"))
    (node.directory / "q.pending").write_text(json.dumps({**fields, "colour": "blue"}))
    assert node.answer("q")["result"] == {"value": 3}


def test_links_directories_and_pipes_are_left_alone(chameleon: Running) -> None:
    node = chameleon.attached()
    (node.directory / "a.pending").symlink_to("/etc/hostname")
    (node.directory / "b.pending").mkdir()
    os.mkfifo(node.directory / "c.pending")
    assert node.ask("number 1")["result"] == {"value": 1}
    assert node.left() == ["a.pending", "b.pending", "c.pending"]


def test_a_directory_that_is_replaced_is_served_again(chameleon: Running) -> None:
    node = chameleon.attached()
    node.directory.rename(node.directory.with_name("old"))
    node.directory.mkdir()
    assert node.ask("number 8")["result"] == {"value": 8}


def test_neither_query_nor_value_is_in_the_log(chameleon: Running) -> None:
    node = chameleon.attached()
    node.ask("number 918273645")
    node.ask("speak hello")
    chameleon.until_logged(f"{node.alias} {node.alias}-2: hello")
    assert "918273645" not in chameleon.log()
    assert "918273645" not in chameleon.home.events(chameleon.name).read_text()


@EITHER_WAY
def test_what_code_prints_is_in_the_log_and_speaks_to_no_terminal(chameleon: Running) -> None:
    node = chameleon.attached()
    node.ask("speak hello")
    chameleon.until_logged("natively \\x1b[31mhello")
    log = chameleon.log()
    assert f"PRINT   {node.alias} {node.alias}-1: hello\n" in log
    assert f"PRINT   {node.alias} {node.alias}-1: and in red: hello\n" in log
    assert "\x1b" not in log


@EITHER_WAY
def test_the_worker_runs_in_the_handlers_directory(chameleon: Running) -> None:
    chameleon.attached().ask("where")
    chameleon.until_logged(f"at {chameleon.source.parent} {chameleon.source}")
