"""What a list of handlers asks of their daemons."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from nectar.manage.handlers import inspection
from nectar.manage.handlers.registry import Record
from tests.test_protocol import daemon

if TYPE_CHECKING:
    from nectar.home import Home

RUNNING = Record(status="running", desired="running")
WELL = json.dumps({"schema": 1, "ok": True, "state": "serving", "failing": None, "aliases": {}}).encode() + b"\n"
ILL = (
    json.dumps(
        {"schema": 1, "ok": True, "state": "serving", "failing": "no worker", "aliases": {"bob": {"problem": "it is gone"}}}
    ).encode()
    + b"\n"
)


def test_all_are_asked_before_one_is_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """So those that hang take no longer together than one does. Each of these answers only when all have been asked."""
    monkeypatch.setattr(inspection, "TABLE_TIMEOUT", 60.0)
    names = [f"h{number}" for number in range(inspection.AT_ONCE)]
    all_asked = threading.Barrier(len(names))

    def answer(_request: bytes) -> bytes:
        return ILL if all_asked.wait(60) == 0 else WELL

    with ExitStack() as stack:
        for name in names:
            stack.enter_context(daemon(home.socket(name), answer))
        found = inspection.survey(home, dict.fromkeys(names, RUNNING))
    assert (
        sum(seen.health.what == "no worker" for seen in found) == 1 and sum(seen.health.is_well for seen in found) == len(names) - 1
    )


def test_those_that_do_not_answer_keep_no_other_from_being_asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "AT_ONCE", 2)
    names = ("nobody", "nonsense", "ill", "well")
    with ExitStack() as stack:
        for name, answer in {"nonsense": b"no\n", "ill": ILL, "well": WELL}.items():
            stack.enter_context(daemon(home.socket(name), lambda _request, answer=answer: answer))  # type: ignore[misc]
        found = inspection.survey(home, {**dict.fromkeys(names, RUNNING), "stopped": Record()})
    assert {seen.name: seen.health.state.value for seen in found} == {
        **dict.fromkeys(("nobody", "nonsense"), "unresponsive"),
        "ill": "failing",
        "well": "running",
        "stopped": "stopped",
    }
