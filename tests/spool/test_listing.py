"""Directories of any size are looked at in portions, and what is found is what is there."""

from __future__ import annotations

import os
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from nectar.api.computation import ComputationResult
from nectar.spool.listing import PORTION, expire, questions
from tests.spool.conftest import put, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 5 * PORTION


@pytest.fixture
def descriptor(directory: Path) -> Iterator[int]:
    opened = os.open(directory, os.O_RDONLY)
    yield opened
    os.close(opened)


@pytest.mark.once
def test_a_listing_goes_through_a_large_directory_in_portions(directory: Path, descriptor: int) -> None:
    for number in range(MANY):
        (directory / f"foreign{number}").touch()
    put(directory, "a1")
    assert len([*questions(descriptor, 10, lambda _: False)]) > MANY // PORTION
    assert [*whole(questions(descriptor, 10, lambda _: False)).questions] == ["a1"]


@pytest.mark.once
def test_listings_of_one_directory_do_not_disturb_each_other(directory: Path, descriptor: int) -> None:
    for number in range(MANY):
        (directory / f"q{number}.pending").touch()
    found = []

    def listing() -> Iterator[None]:
        found.append((yield from questions(descriptor, MANY + 1, lambda _: False)))

    for _ in zip_longest(listing(), listing(), listing()):
        pass
    assert [len(each.questions) for each in found] == [MANY] * 3


def test_the_oldest_are_found_and_that_there_are_more(directory: Path, descriptor: int) -> None:
    for number in range(100):
        path = put(directory, f"q{number:02}")
        os.utime(path, (1000 + number % 50, 1000 + number % 50))
    found = whole(questions(descriptor, 9, lambda comp_id: comp_id == "q00"))
    assert [*found.questions] == ["q50", "q01", "q51", "q02", "q52", "q03", "q53", "q04", "q54"]
    assert found.more
    assert found.changed == max(path.stat().st_ctime_ns for path in directory.iterdir())
    assert not whole(questions(descriptor, 101, lambda _: False)).more


def test_an_answer_that_nobody_reads_goes_and_others_stay(directory: Path, descriptor: int) -> None:
    ours = ComputationResult(comp_id="a", status="success", value=1, claim="0" * 16).to_json()
    foreign = ComputationResult(comp_id="b", status="success", value=1).to_json()
    (directory / "a.complete").write_bytes(ours)
    (directory / "b.complete").write_bytes(foreign)
    (directory / "c.complete").write_text("not JSON")
    now = (directory / "a.complete").stat().st_mtime
    assert whole(expire(descriptor, 100, now + 99)) == 0
    assert whole(expire(descriptor, 100, now + 101)) == 1
    assert sorted(path.name for path in directory.iterdir()) == ["b.complete", "c.complete"]


@pytest.mark.once
def test_old_answers_are_removed_in_portions(directory: Path, descriptor: int) -> None:
    for number in range(MANY):
        answer = ComputationResult(comp_id=f"a{number}", status="success", value=1, claim="0" * 16 if number % 2 else None)
        (directory / f"a{number}.complete").write_bytes(answer.to_json())
    now = (directory / "a0.complete").stat().st_mtime
    steps = [*expire(descriptor, 100, now + 1000)]
    assert len(steps) > MANY // 64
    assert len([*directory.iterdir()]) == MANY // 2
