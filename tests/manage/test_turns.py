"""One command after the other for a name, and the later word counts."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from nectar.errors import ConflictError, UnresponsiveError
from nectar.home import Home
from nectar.manage.handlers import registry, turns
from nectar.manage.handlers.registry import Record

if TYPE_CHECKING:
    pass

PATIENCE = 60.0


def silent(_text: str) -> None:
    pass


def test_a_turn_that_takes_too_long_is_told_with_whose_it_is(home: Home) -> None:
    told: list[str] = []
    with (
        turns.take(home, "h", report=silent),
        pytest.raises(UnresponsiveError, match=f"PID {os.getpid()}") as raised,
        turns.take(home, "h", report=told.append, patience=0.4),
    ):
        pytest.fail("it is another's turn")
    assert raised.value.where == str(home.turn("h"))
    assert [f"(PID {os.getpid()})" in text for text in told] == [True]
    with turns.take(home, "h", report=told.append):
        assert turns.is_taken(home, "h")
    assert len(told) == 1


def test_what_is_overruled_gives_up(home: Home) -> None:
    assert not turns.overrule(home, "h")
    with turns.begin(home, "h", report=silent) as attempt:
        assert turns.is_being_started(home, "h")
        assert turns.list_being_started(home) == ["h"]
        with attempt.take_turn():
            pass
        assert turns.overrule(home, "h")
        for look in (attempt.require_wanted, attempt.take_turn().__enter__):
            with pytest.raises(ConflictError, match="stopped meanwhile"):
                look()
        with turns.begin(home, "h", report=silent) as later, later.take_turn():
            pass  # it began after that word
    assert not turns.list_being_started(home)


def test_who_waited_when_it_was_overruled_gives_up_too(home: Home) -> None:
    waits = threading.Event()
    ends: list[str] = []

    def wait() -> None:
        try:
            with turns.begin(home, "h", report=lambda _text: waits.set()):
                ends.append("began")
        except ConflictError:
            ends.append("gave up")

    for overruled, end in ((False, "began"), (True, "gave up")):
        waits.clear()
        thread = threading.Thread(target=wait)
        with turns.begin(home, "h", report=silent):
            thread.start()
            assert waits.wait(PATIENCE)
            if overruled:
                turns.overrule(home, "h")
        thread.join(PATIENCE)
        assert ends.pop() == end


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (None, Record(), "launched"),
        (Record(), None, "removed"),
        (Record(created=1), Record(created=2), "launched anew"),
        (Record(desired="running"), Record(), "stopped"),
    ],
)
def test_what_other_versions_said_is_in_the_record(home: Home, before: Record | None, after: Record | None, what: str) -> None:
    def write(record: Record | None) -> None:
        with registry.change(home) as records:
            records.pop("h", None)
            if record is not None:
                records["h"] = record

    write(before)
    with turns.begin(home, "h", report=silent) as attempt:
        attempt.require_unchanged(before)
        write(after)
        with pytest.raises(ConflictError, match=f"was {what} meanwhile"), attempt.take_turn():
            pytest.fail("it is not its turn")


def test_a_daemon_that_died_meanwhile_is_nobodys_word(home: Home) -> None:
    with registry.change(home) as records:
        records["h"] = Record(status="running", desired="running", pid=1, started=1.0, created=1.0)
    with turns.begin(home, "h", report=silent) as attempt:
        attempt.require_unchanged(Record(status="stopped", desired="running", created=1.0, attached_aliases=("new",)))
