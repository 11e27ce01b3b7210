"""Each state a handler may be in, one row a cause: how it is told."""

from __future__ import annotations

from typing import Any

import pytest

from nectar.manage.handlers.health import Health, State, judge
from nectar.manage.handlers.registry import Record

NOW = 1_000_000.0
RUNS = Record(status="running", desired="running", pid=7)
WELL: dict[str, Any] = {"state": "serving", "aliases": {"bob": {"problem": None, "waiting": 0}}, "workers": [], "queue": 0}
GONE = {"aliases": {"bob": {"problem": "it is not there", "waiting": 0}, "eve": {"problem": None, "waiting": 0}}}
LOST = "it cannot answer for bob: it is not there"
LOGS, RESTART = "nectar logs h", "nectar restart h"


def at_work(*begun: float) -> dict[str, Any]:
    runs = [{"alias": "bob", "comp_id": f"j{number}", "since": NOW - ago, "deadline": 3600.0} for number, ago in enumerate(begun)]
    return {"workers": [{"pid": 1, "state": "busy", "runs": runs}]}


@pytest.mark.parametrize(
    ("daemon", "expected", "well"),
    [
        ({}, Health(state=State.RUNNING), True),
        (GONE, Health(state=State.RUNNING, what=LOST, cure=LOGS, alarming=True), False),
        ({"state": "stopping", "failing": "no"}, Health(state=State.STOPPING), True),
        ({"state": "taken"}, Health(state=State.STARTING), True),
        ({"failing": "No worker.", "silent": 90.0}, Health(state=State.FAILING, what="No worker", cure=LOGS), False),
        (
            {"errors": {"answers": 20, "since": 5.0}, "last_error": "ValueError: no."},
            Health(state=State.FAILING, what="the last 20 answers were errors or timeouts: ValueError: no", since=5.0, cure=LOGS),
            False,
        ),
        (
            {"silent": 60.0, "queue": 3, **at_work(99.0)},
            Health(state=State.SILENT, what="3 waiting, and nothing is claimed", since=NOW - 60, cure=LOGS),
            False,
        ),
        ({"silent": 61.0, **GONE}, Health(state=State.SILENT, what=LOST, since=NOW - 61, cure=LOGS), False),
        ({"silent": 59.9, "queue": 3}, Health(state=State.RUNNING), True),
        (at_work(59.9), Health(state=State.RUNNING), True),
        (at_work(1.0, 60.0), Health(state=State.BUSY, what="bob j1, 60 s of 3600 s", since=NOW - 60), True),
        (
            {**at_work(60.0), **GONE},
            Health(state=State.BUSY, what=f"bob j0, 60 s of 3600 s; {LOST}", since=NOW - 60, alarming=True),
            False,
        ),
    ],
)
def test_one_whose_daemon_answers(daemon: dict[str, Any], expected: Health, well: bool) -> None:
    found = judge("h", RUNS, {**WELL, **daemon}, NOW)
    assert found == expected
    assert found.is_well is well


def test_a_daemon_of_an_older_nectar_says_less() -> None:
    old: dict[str, Any] = {
        "state": "serving",
        "aliases": {},
        "workers": [{"pid": 1, "state": "busy"}],
        "failing": None,
        "last_error": None,
    }
    assert judge("h", RUNS, old, NOW) == Health(state=State.RUNNING)


@pytest.mark.parametrize(
    ("record", "more", "expected", "well"),
    [
        (RUNS, {"silence": "no answer."}, Health(state=State.UNRESPONSIVE, what="no answer", cure=RESTART), False),
        (Record(), {}, Health(state=State.STOPPED), True),
        (Record(desired="running"), {}, Health(state=State.DEAD, what="it should run, and does not", cure="nectar start h"), False),
        (Record(desired="running"), {"starting": True}, Health(state=State.STARTING, what="a command is starting it"), True),
        (Record(), {"starting": True}, Health(state=State.STARTING, what="a command is starting it"), True),
    ],
)
def test_one_whose_daemon_does_not(record: Record, more: dict[str, Any], expected: Health, well: bool) -> None:
    found = judge("h", record, None, NOW, **more)
    assert found == expected
    assert found.is_well is well
