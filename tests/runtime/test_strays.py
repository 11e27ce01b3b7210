"""A claim that nobody runs any more: should a bug of ours leave one, it is run, and told once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.soak.service_model import ServiceModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.once


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ServiceModel]:
    before = os.umask(0o077)
    made = ServiceModel(7, tmp_path / "data")
    made.machine.calm = True
    made.settle(4)
    yield made
    made.stop()
    os.umask(before)


def test_a_question_that_was_dropped_is_answered_and_told_once(model: ServiceModel) -> None:
    asked = model.ask("one")
    model.take_up()
    (busy,) = [worker for worker in model.pool.workers if worker.runs]
    busy.runs.clear()  # the bug
    model.settle(8)
    assert [answer["status"] for answer in asked.answers] == ["success"]
    told = [line for line in model.log().splitlines() if " ERROR " in line]
    assert len(told) == 1
    assert f"one {asked.number}: it was claimed and not run" in told[0]


def test_what_runs_waits_or_is_owed_is_no_stray(model: ServiceModel) -> None:
    asked = [model.ask(alias) for alias in ("one", "two", "three", "one", "two")]
    model.settle(20)
    assert all(len(each.answers) == 1 for each in asked)
    assert " ERROR " not in model.log()


def test_an_alias_that_failed_is_served_again_though_another_is_being_let_go_of(model: ServiceModel) -> None:
    model.ask("one")
    model.take_up()
    model.attached = ["two", "three"]
    model.register()
    model.take_up()  # it is detached while a run of its goes on
    aliases = model.service._aliases
    assert "one" in aliases._leaving
    aliases._reopen(aliases._attached["two"])
    model.machine.now += 0.1
    model.loop.turn()
    model.loop.turn()
    assert "one" in aliases._leaving
    assert aliases._attached["two"].spool is not None
