"""A worker that loads beside the one which is about to overstay. Seconds are those since the pool was made."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tests.units.machines import FAILED, Stage, near, nothing


def loading_for(seconds: float, **settings: Any) -> Stage:
    """A pool whose worker took so long to load; no further one is loaded before the test says so."""
    stage = Stage(**settings)
    stage.load = nothing
    stage.begin()
    stage.go(seconds)
    stage.load_one()
    return stage


@pytest.mark.parametrize(("took", "deadline", "begins"), [(3, 10, 7), (3, 4, 2), (0.5, 100, 99.5)])
def test_a_successor_begins_to_load_as_early_as_it_must(took: float, deadline: float, begins: float) -> None:
    stage = loading_for(took)
    stage.run("a", deadline=deadline)
    stage.go(deadline - 0.001)
    assert stage.machine.tries == [0, near(took + begins)]
    assert not stage.pool.free
    stage.load_one()
    assert not stage.pool.free, "it waits for the end of the other one"
    stage.go(0.001)
    assert stage.outcome("a").status == "timeout"
    assert stage.pool.free
    stage.run("b")
    stage.go(0)
    stage.answer("b")
    stage.go(60)
    assert stage.succeeded("b")
    assert len(stage.machine.tries) == 2
    assert stage.pool.workers[0].beside is None, "who has ended is forgotten"


@pytest.mark.parametrize("loaded", [False, True])
def test_a_successor_of_one_that_does_not_overstay_ends(loaded: bool) -> None:
    stage = loading_for(3)
    stage.run("a", deadline=10)
    stage.go(8)
    if loaded:
        stage.load_one()
    stage.answer("a")
    stage.go(0)
    assert stage.succeeded("a")
    assert len(stage.processes) == 1
    assert stage.told.failures == []
    stage.run("b", deadline=10)
    stage.go(8)
    assert len(stage.machine.tries) == 3


@pytest.mark.parametrize("how", ["exit", "says why", "refused"])
def test_a_successor_that_cannot_load_beside_the_other_is_no_failure_and_tried_again_when_that_has_ended(how: str) -> None:
    stage = loading_for(3)
    stage.run("a", deadline=10)
    stage.machine.refusal = errno.ENOMEM if how == "refused" else None
    stage.go(8)
    if how != "refused":
        successor = stage.processes[1]
        if how == "says why":
            stage.machine.send(successor, FAILED)
        stage.machine.end(successor, 1)
    stage.machine.refusal = None
    stage.go(2)
    assert stage.outcome("a").status == "timeout"
    assert stage.machine.tries == [0, near(10), near(13)]
    assert stage.told.failures == []


def test_where_it_is_switched_off_none_is_loaded() -> None:
    stage = loading_for(3, overlap=False)
    stage.run("a", deadline=10)
    stage.go(9.9)
    assert stage.machine.tries == [0]


def test_a_stop_ends_a_successor_too() -> None:
    stage = loading_for(3)
    stage.run("a", deadline=10)
    stage.go(8)
    stage.stop(1)
    stage.go(1)
    assert stage.processes == []
    assert stage.ended == [near(12)]


def test_another_worker_that_dies_meanwhile_is_replaced_all_the_same() -> None:
    stage = Stage(workers=2)
    stage.load = nothing
    stage.begin()
    stage.go(3)
    stage.load_one()
    stage.load_one()
    stage.run("a", deadline=10)
    stage.go(8)
    assert len(stage.processes) == 3
    stage.machine.end(stage.processes[1], 3)
    stage.go(0)
    assert len(stage.processes) == 3
    stage.go(2)
    assert len(stage.processes) == 2


@pytest.mark.parametrize(("found", "tries"), [([False, False], 2), ([True], 3), ([False, True], 3)])
def test_a_successor_ends_with_what_was_left_without_a_token_by_the_other(
    monkeypatch: pytest.MonkeyPatch, found: list[bool], tries: int
) -> None:
    stage = loading_for(3)
    told = iter(found)
    monkeypatch.setattr(stage.machine, "has_unmarked", lambda workers: next(told, False))
    stage.run("a", deadline=10)
    stage.go(9)
    stage.load_one()
    stage.go(2)
    assert stage.outcome("a").status == "timeout"
    assert len(stage.machine.tries) == tries
    assert len(stage.processes) == 1
    assert stage.told.failures == []
    assert bool(stage.machine.looks) is (tries == 3)
