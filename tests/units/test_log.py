"""What is said once a minute at most, or once: with a clock, and with more of it than is remembered."""

from __future__ import annotations

import pytest

from nectar.events import INFO, WARNING, as_word, visible
from nectar.runtime.daemon.log import MAX_REMEMBERED, Say, Seldom, Tally
from tests.units.machines import Clock


class Kept:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.whose: list[tuple[str, str]] = []

    def say(self, text: str, kind: str = INFO, alias: str = "", computation: str = "") -> None:
        self.said.append((kind, text))
        self.whose.append((alias, computation))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def say(kept: Kept) -> Say:
    return kept.say


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("seconds", [60, 5, 3600])
def test_the_same_is_said_again_after_its_time_which_begins_when_it_was_said(
    say: Say, kept: Kept, clock: Clock, seconds: float
) -> None:
    seldom = Seldom(say, clock) if seconds == 60 else Seldom(say, clock, seconds=seconds)
    begun = clock.now
    for part in (0, 0, 0.5, 0.999, 1, 1.5, 1.999, 2, 7, 7.5):
        clock.now = begun + part * seconds
        seldom.warn("disk", f"{part}")
    assert kept.said == [(WARNING, text) for text in ("0", "1", "2", "7")]


def test_what_is_something_else_is_said_at_once(say: Say, kept: Kept, clock: Clock) -> None:
    seldom = Seldom(say, clock)
    for key in ("a", "b", "a", "b", "c"):
        seldom.warn(key, f"{key} %s {{}}")
    assert [text for _, text in kept.said] == ["a %s {}", "b %s {}", "c %s {}"]
    clock.now += 60
    seldom.warn("b", "again")
    assert kept.said[-1] == (WARNING, "again")


def test_of_too_many_warnings_all_are_forgotten_and_may_be_said_again(say: Say, kept: Kept, clock: Clock) -> None:
    seldom = Seldom(say, clock)
    for number in range(MAX_REMEMBERED):
        seldom.warn(str(number), "")
    seldom.warn("0", "")
    assert len(kept.said) == 10_000
    seldom.warn("one more", "")
    seldom.warn("0", "")
    assert len(kept.said) == 10_002
    assert clock.now == 1024


def test_once_is_once_for_ever_with_its_level(say: Say, kept: Kept, clock: Clock) -> None:
    seldom = Seldom(say, clock)
    for _ in range(3):
        seldom.once("a", "first")
        seldom.once("b", "second", INFO)
        clock.now += 1e6
    assert kept.said == [(WARNING, "first"), (INFO, "second")]


def test_once_and_seldom_do_not_know_of_each_other(say: Say, kept: Kept, clock: Clock) -> None:
    seldom = Seldom(say, clock)
    seldom.once("a", "once")
    seldom.warn("a", "seldom")
    assert [text for _, text in kept.said] == ["once", "seldom"]
    assert clock.now == 1024


def test_of_too_much_that_is_said_once_no_more_is_said_but_that_a_minute_apart(say: Say, kept: Kept, clock: Clock) -> None:
    seldom = Seldom(say, clock)
    for number in range(MAX_REMEMBERED):
        seldom.once(str(number), "x")
    assert len(kept.said) == 10_000
    more = "there is more of what is told once than can be remembered: it is not told any more"
    for second, count in ((0, 1), (59, 1), (60, 2), (61, 2), (120, 3)):
        clock.now = 1024 + second
        seldom.once(f"more {second}", "y")
        seldom.once("0", "x")
        assert kept.said[10_000:] == [(WARNING, more)] * count


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 🐝", "plain ü 🐝"),
        ("a\tb", "a\tb"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\r\x07\x7f", "a\\r\\x07\\x7f"),
        ("\u202eevil", "\\u202eevil"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_would_move_a_terminal_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(("name", "word"), [("alice", "alice"), ("my node", "my\\x20node"), ("a\tb\n", "a\\tb\\n")])
def test_an_alias_or_an_id_is_one_word(name: str, word: str) -> None:
    assert as_word(name) == word


def test_whose_it_is_is_said_too(say: Say, kept: Kept, clock: Clock) -> None:
    seldom = Seldom(say, clock)
    seldom.warn("a", "x", alias="one", computation="b")
    seldom.once("a", "x", alias="two")
    assert kept.whose == [("one", "b"), ("two", "")]


# --- successes


def test_successes_are_told_when_a_minute_has_gone_since_the_first(say: Say, kept: Kept, clock: Clock) -> None:
    tally = Tally(say, clock)
    clock.now += 1000
    for second, alias, took in ((0, "one", 0.5), (1, "two", 2.0), (59, "one", 0.25)):
        clock.now = 5000 + second
        tally.add(alias, took)
        tally.tell()
    assert kept.said == []
    clock.now = 5060.4
    tally.tell()
    tally.tell()
    assert kept.said == [
        (INFO, "success: 2 in 60 s (0.375 s on average, 0.500 s at most)"),
        (INFO, "success: 1 in 60 s (2.000 s on average, 2.000 s at most)"),
    ]
    assert kept.whose == [("one", ""), ("two", "")]
    clock.now += 1000
    tally.tell(last=True)
    assert len(kept.said) == 2


def test_what_has_been_counted_is_told_at_the_end(say: Say, kept: Kept, clock: Clock) -> None:
    tally = Tally(say, clock)
    tally.add("one", 0.001)
    clock.now += 2
    tally.tell(last=True)
    assert kept.said == [(INFO, "success: 1 in 2 s (0.001 s on average, 0.001 s at most)")]
