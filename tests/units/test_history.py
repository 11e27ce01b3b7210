"""What a daemon keeps of the last six hours: by the minute, in bounded room, whatever the clock and the file do."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from nectar.protocol import MAX_LINE, encode
from nectar.runtime.daemon.history import BOUNDS, FEW, LATELY, MAX_BYTES, MAX_DEATHS, MINUTES, ROW, SAVED, Failing, History

if TYPE_CHECKING:
    from pathlib import Path

NOON = 1_700_000_040.0
"""The beginning of a minute."""


class Kept:
    """A history with clocks in the test's hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.monotonic = 100.0
        self.ahead = NOON - self.monotonic
        self.open()

    def open(self) -> History:
        self.history = History(self.path, lambda: self.monotonic, lambda: self.monotonic + self.ahead)
        return self.history

    def written(self) -> list[list[object]]:
        minutes: list[list[object]] = json.loads(self.path.read_bytes())["minutes"]
        return minutes


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "h.history")


def test_a_minute_holds_its_answers_and_the_most_that_waited(kept: Kept) -> None:
    kept.history.answer("success", 0.0009)
    kept.history.answer("success", 0.004)
    kept.history.answer("error", 10.0**9)
    for waiting in (3, 7, 0):
        kept.history.tick(waiting)
    kept.monotonic += 60
    kept.history.answer("timeout", -3.0)
    kept.history.save()
    minute = int(NOON) // 60
    assert kept.written() == [[minute, 2, 1, 0, 7, [[0, 1], [2, 1], [len(BOUNDS) - 1, 1]]], [minute + 1, 0, 0, 1, 0, [[0, 1]]]]
    assert (BOUNDS[0], BOUNDS[2], BOUNDS[-1]) == (0.001, 0.005, 500_000.0)
    assert kept.history.report()["minutes"] == kept.written()
    assert kept.history.answered == NOON + 60
    assert (sum(kept.history.within), kept.history.within[0], kept.history.seconds) == (4, 2, 0.0009 + 0.004 + 10.0**9)
    assert os.stat(kept.path).st_mode & 0o777 == 0o600


def test_the_next_daemon_goes_on_with_it(kept: Kept) -> None:
    kept.history.answer("success", 0.01)
    kept.history.save(ended=True)
    again = kept.open()
    again.answer("success", 0.01)
    assert again.hour()[-1] == 2
    assert (again.deaths, again.deaths_in_all, again.died) == ([], 0, False)
    assert sum(again.within) == 1, "these are its own"


def test_an_end_without_a_stop_is_kept_with_the_last_time_at_which_it_lived(kept: Kept) -> None:
    for number in range(MAX_DEATHS + 5):
        kept.history.save()
        os.utime(kept.path, (number, number))
        assert kept.open().died
    assert kept.history.deaths == [float(number) for number in range(5, MAX_DEATHS + 5)]
    kept.history.save(ended=True)
    assert not kept.open().died
    assert (len(kept.history.deaths), kept.history.deaths_in_all) == (MAX_DEATHS, MAX_DEATHS + 5)


@pytest.mark.once
def test_six_hours_of_all_that_there_can_be_are_kept_in_64_kib(kept: Kept) -> None:
    for _ in range(MINUTES + 10):
        for seconds in BOUNDS:
            kept.history.answer("success", seconds)
        kept.history.tick(10**6)
        kept.monotonic += 60
    kept.history.save()
    written = kept.path.read_bytes()
    assert len(written) <= MAX_BYTES
    assert len(kept.written()) > 200, "what is forgotten is what does not fit"
    assert kept.written()[-1][0] == (NOON + 60 * (MINUTES + 9)) // 60
    assert len(kept.history.report()["minutes"]) == MINUTES
    assert len(encode(kept.history.report())) < MAX_LINE / 8
    assert len(kept.open().report()["minutes"]) == len(kept.written())


def test_it_is_written_once_a_minute_and_only_where_something_happened(kept: Kept) -> None:
    kept.history.save()
    kept.path.unlink()
    for _ in range(3 * int(SAVED)):
        kept.history.tick(0)
        kept.monotonic += 1
    assert not kept.path.exists()
    kept.history.answer("success", 0.1)
    kept.history.tick(0)
    assert kept.path.exists()
    kept.path.unlink()
    kept.history.answer("success", 0.1)
    kept.history.tick(0)
    assert not kept.path.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"schema": 2}', b'{"schema": 1, "ended": true, "deaths": [], "minutes": [[1, 2]]}', b"\xff", b"[" * 60_000]
    + [
        b'{"schema": 1, "ended": true, "deaths": [], "minutes": [[1, 2, 0, 0, 0, [[%s, 1]]]]}' % index
        for index in (b"99", b"-1", b"1e9")
    ]
    + [b" " * (MAX_BYTES + 1)],
)
def test_what_is_none_is_written_over(kept: Kept, content: bytes) -> None:
    kept.path.write_bytes(content)
    assert kept.open().report()["minutes"] == []
    assert not kept.history.died
    kept.history.save()
    assert kept.written() == []


def test_where_it_cannot_be_written_nothing_happens(kept: Kept) -> None:
    kept.path.with_name("h.history.new").mkdir()
    kept.history.answer("success", 0.1)
    kept.history.save()
    assert not kept.path.exists()


def test_nobody_elses_file_is_written(kept: Kept, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    kept.path.with_name("h.history.new").symlink_to(other)
    kept.history.save()
    assert other.read_text() == "mine"


def test_a_clock_that_is_set_back_leaves_no_minute_that_has_not_come(kept: Kept) -> None:
    kept.history.answer("success", 0.1)
    kept.ahead += 3600
    kept.history.answer("success", 0.1)
    kept.ahead -= 3600
    kept.history.answer("error", 0.1)
    assert [minute[0] for minute in kept.history.report()["minutes"]] == [int(NOON) // 60]
    assert kept.history.hour() == [0] * 59 + [2]
    kept.ahead += 366 * 86400
    assert kept.history.hour() == [0] * 60
    assert kept.history.latency() == {"p50": None, "p99": None}


def test_half_and_99_of_100_were_answered_within(kept: Kept) -> None:
    for number in range(100):
        kept.history.answer("success", 0.003 if number < 98 else 3.0)
    assert kept.history.latency() == {"p50": 0.005, "p99": 5.0}
    kept.history.answer("success", 0.003)
    for _ in range(99):
        kept.history.answer("success", 0.003)
    assert kept.history.latency() == {"p50": 0.005, "p99": 0.005}


# --- failing


def test_twenty_in_a_row_are_failing_and_one_success_ends_it(kept: Kept) -> None:
    kept.history.answer("success", 0.1)
    for number in range(ROW - 1):
        kept.monotonic += 1
        kept.history.answer("error" if number % 2 else "timeout", 0.1)
    assert kept.history.failing is None
    kept.monotonic += 1
    kept.history.answer("error", 0.1)
    assert kept.history.failing == Failing(NOON + 1, ROW)
    kept.history.answer("error", 0.1)
    assert kept.history.failing == Failing(NOON + 1, ROW + 1)
    kept.monotonic += 86400
    assert kept.history.failing is not None, "nothing has become of it since"
    kept.history.answer("success", 0.1)
    assert kept.history.failing is None


def test_three_within_five_minutes_are_enough_where_there_was_no_success_in_these(kept: Kept) -> None:
    for number in range(FEW):
        assert kept.history.failing is None, number
        kept.history.answer("error", 0.1)
    assert kept.history.failing is not None
    kept.history.answer("success", 0.1)
    for _ in range(FEW):
        kept.history.answer("error", 0.1)
    assert kept.history.failing is None
    kept.monotonic += LATELY - 1
    kept.history.answer("error", 0.1)
    assert kept.history.failing is None
    kept.monotonic += 0.5
    assert kept.history.failing is None
    kept.history.answer("error", 0.1)
    kept.history.answer("error", 0.1)
    kept.monotonic += 0.5
    assert kept.history.failing is not None
    kept.monotonic += LATELY
    assert kept.history.failing is None, "nobody has asked since"
