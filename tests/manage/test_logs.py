"""Reading logs whose writer rotates, truncates and removes them, and those that older versions wrote."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from nectar.errors import NotFoundError
from nectar.events import Event, show, split_time, write_json, write_text
from nectar.home import Home
from nectar.manage.handlers import logs
from nectar.manage.handlers.logged import Asked
from nectar.namelock import NameLock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

NOON = int(datetime.fromisoformat("2026-11-25T12:00:00+00:00").timestamp())


@pytest.fixture
def running(home: Home) -> Iterator[Home]:
    """With a handler ``h`` that runs."""
    home.registry.write_text('{"h": {"desired": "running"}}')
    lock = NameLock(home.lock("h"), 0.0)
    yield home
    os.close(lock._descriptor)


def read(
    home: Home, *names: str, last: int = 20, follow: bool = False, said: list[str] | None = None
) -> Generator[tuple[str, str]]:
    report = (lambda _text: None) if said is None else said.append
    return logs.read_lines(home, names, last=last, follow=follow, wanted=lambda: True, report=report)


def lines(home: Home, last: int) -> list[str]:
    return [line for _, line in read(home, "h", last=last)]


def find(home: Home, last: int | None = None, **asked: Any) -> list[str]:
    """The texts of events that are asked for, with the computation of each."""
    found = logs.read_events(home, ["h"], Asked(**asked), last=last, follow=False, wanted=lambda: True, report=pytest.fail)
    return [f"{event.computation}: {event.text}" for _, event in found]


def write(home: Home, second: int, text: str, level: str = "INFO", computation: str = "", *, old: bool = False) -> None:
    """Write an event, as a daemon does, or as one did that had text alone."""
    alias = "one" if computation else ""
    begin, end = split_time(NOON + second)
    when = f"{begin}.250{end}"
    if old:
        begin = f"{when[:-3]}{when[-2:]} {level:<7} "
        text = begin + f"\n{begin}| ".join((f"{alias} {computation}: {text}" if alias else text).split("\n")) + "\n"
    else:
        with home.events("h").open("a") as file:
            file.write(write_json(f"{NOON + second}.250", level, alias, computation, text))
        text = write_text(when, level, alias, computation, text)
    with home.log("h").open("a") as file:
        file.write(text)


def append(home: Home, text: str) -> None:
    with home.log("h").open("a") as file:
        file.write(text)


def rotate(home: Home) -> None:
    for path in (home.log("h"), home.events("h")):
        if path.exists():
            path.rename(path.with_name(f"{path.name}.1"))


# --- lines


def test_lines_before_a_rotation_count_too(home: Home) -> None:
    home.log("h").with_name("h.log.1").write_text("1\n2\n3\n")
    home.log("h").write_text("4\n5")
    assert lines(home, 4) == ["2", "3", "4", "5"]
    assert lines(home, 1) == ["5"]
    assert lines(home, 0) == []


def test_follows_over_rotations_and_truncation(running: Home) -> None:
    log = running.log("h")
    log.write_text("1\n")
    following = (line for _, line in read(running, "h", follow=True))
    assert next(following) == "1"
    with log.open("a") as writing:
        writing.write("2\n3")
        writing.flush()
        assert next(following) == "2"
        os.rename(log, log.with_name("h.log.1"))
        writing.write("\n4\n")
    log.write_text("a longer line\n")
    assert [next(following) for _ in range(3)] == ["3", "4", "a longer line"]
    log.write_text("")
    with log.open("a") as writing:
        writing.write("6\n")
    assert next(following) == "6"
    log.unlink()
    log.write_text("7\n")
    assert next(following) == "7"
    following.close()


def test_what_is_written_to_a_log_that_was_moved_away_is_seen_until_there_is_another(running: Home) -> None:
    log = running.log("h")
    with log.open("a", buffering=1) as writing:
        writing.write("1\n")
        following = (line for _, line in read(running, "h", follow=True))
        assert next(following) == "1"
        log.rename(log.with_name("aside"))
        writing.write("2\n")
        assert next(following) == "2"
        writing.write("3\n")
        log.write_text("4\n")
    assert [next(following), next(following)] == ["3", "4"]
    following.close()


def test_a_log_that_is_still_to_come(home: Home) -> None:
    with pytest.raises(NotFoundError):
        read(home, "h", follow=True)
    home.registry.write_text('{"h": {"desired": "running"}}')
    said: list[str] = []
    following = read(home, "h", follow=True, said=said)
    home.log("h").write_text("1\n")
    assert next(following) == ("h", "1")
    append(home, "2\n")
    assert next(following) == ("h", "2")
    assert said == ["The handler 'h' should run, and does not: nectar start h"]  # and it is waited for
    following.close()
    assert lines(home, 5) == ["1", "2"]


@pytest.mark.parametrize(("registry", "why"), [('{"h": {"desired": "stopped"}}', "is stopped"), ("{}", "was removed")])
def test_one_of_whom_nothing_can_come_is_not_followed(home: Home, registry: str, why: str) -> None:
    home.registry.write_text(registry)
    home.log("h").write_text("1\nhalf a li")
    said: list[str] = []
    assert [*read(home, "h", follow=True, said=said)] == [("h", "1"), ("h", "half a li")]
    assert said == [f"The handler 'h' {why}: nothing more comes."]


def test_what_was_written_until_a_stop_comes_before_the_word_of_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_LOOK", 0.0)  # the stop is seen no later than the last line
    home.registry.write_text('{"h": {"desired": "running"}, "i": {"desired": "stopped"}}')
    lock = NameLock(home.lock("h"), 0.0)
    home.log("h").write_text("1\n")
    home.log("i").write_text("2\n")
    said: list[str] = []
    following = read(home, "h", "i", follow=True, said=said)
    assert [next(following), next(following)] == [("h", "1"), ("i", "2")]
    append(home, "3\n")
    assert next(following) == ("h", "3")
    home.registry.write_text('{"h": {"desired": "stopped"}}')
    append(home, "4\n")
    os.close(lock._descriptor)
    assert [*following] == [("h", "4")]
    assert said == [f"The handler {name!r} is stopped: nothing more comes." for name in ("i", "h")]


def test_of_several_the_last_of_each_come_by_their_time(home: Home) -> None:
    for name, seconds in (("a", (1, 4, 5)), ("b", (2, 3, 6))):
        home.log(name).write_text("".join(f"2026-11-25T12:00:0{each}.000+00:00 INFO    - -: {each}\n" for each in seconds))
    assert [(name, line[-1]) for name, line in read(home, "a", "b", last=2)] == [("b", "3"), ("a", "4"), ("a", "5"), ("b", "6")]


# --- events


def test_events_are_chosen_by_time_level_and_computation(home: Home) -> None:
    write(home, 1, "loading", "PRINT")
    write(home, 2, "thinking\tof it", "PRINT", "a")
    rotate(home)
    write(home, 3, "error: no\nTraceback", "ERROR", "a")
    write(home, 4, "odd", "WARNING")
    write(home, 5, "of nobody's level", "CRITICAL", "b")
    whole = [": loading", "a: thinking\tof it", "a: error: no\nTraceback", ": odd", "b: of nobody's level"]
    assert find(home) == whole
    assert find(home, last=2) == whole[-2:]
    assert find(home, since=NOON + 2.25) == whole[1:]
    assert find(home, since=NOON + 2.26, until=NOON + 4.25) == whole[2:4]
    assert find(home, level="PRINT") == whole
    assert find(home, level="WARNING") == whole[2:]
    assert find(home, level="ERROR") == [whole[2], whole[4]]
    assert find(home, computation="a") == whole[1:3]
    assert find(home, computation="a", level="ERROR", last=0) == []


def test_text_that_was_written_alone_is_told_by_its_own_time_among_the_events(home: Home) -> None:
    write(home, 1, "started", old=True)
    write(home, 2, "error (0.000 s): no\nTraceback\n  | in a group", "WARNING", "a", old=True)
    write(home, 3, "success (0.000 s)", computation="b", old=True)
    write(home, 3, "one of text: it is printed", "PRINT", old=True)
    write(home, 4, "new")
    rotate(home)
    write(home, 5, "success (0.000 s)", computation="c", old=True)  # that nectar was here again
    write(home, 6, "new again\n| yes", computation="d")
    assert find(home) == [
        ": started",
        "a: error (0.000 s): no\nTraceback\n  | in a group",
        "b: success (0.000 s)",
        ": one of text: it is printed",
        ": new",
        "c: success (0.000 s)",
        "d: new again\n| yes",
    ]
    assert find(home, computation="a") == ["a: error (0.000 s): no\nTraceback\n  | in a group"]
    assert find(home, level="ERROR") == ["a: error (0.000 s): no\nTraceback\n  | in a group"]
    assert find(home, since=NOON + 3, until=NOON + 4) == ["b: success (0.000 s)", ": one of text: it is printed"]


def test_where_the_json_was_removed_the_text_tells_of_what_was_before(home: Home) -> None:
    write(home, 1, "one\ntwo", "ERROR", "a")
    home.events("h").unlink()
    assert find(home) == ["a: one\ntwo"]
    write(home, 2, "three", computation="b")
    assert find(home) == ["a: one\ntwo", "b: three"]


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", "null", '{"time": "x"}', '{"time": 1, "level": "INFO", "alias": null}', "\x00\xff"]
)
def test_a_line_that_is_no_event_is_passed_over(home: Home, broken: str) -> None:
    write(home, 1, "one")
    with home.events("h").open("a") as file:
        file.write(f"{broken}\n")
    write(home, 2, "two")
    assert find(home) == [": one", ": two"]


def test_lines_without_a_time_are_told_as_they_are(home: Home) -> None:
    home.log("h").write_text("somebody's\n2026-11-25T12:00:00.000 more\n")
    assert find(home) == [": somebody's", ": 2026-11-25T12:00:00.000 more"]
    assert find(home, since=1.0) == []


def test_events_are_followed_of_either_kind_once(running: Home) -> None:
    write(running, 1, "one")
    until = [True]
    found = logs.read_events(
        running, ["h"], Asked(level="INFO"), last=None, follow=True, wanted=lambda: until[0], report=pytest.fail
    )
    following = (event.text for _, event in found)
    assert next(following) == "one"
    write(running, 2, "two\nlines")
    write(running, 3, "three", old=True)
    rotate(running)
    write(running, 4, "four")
    assert [next(following) for _ in range(3)] == ["two\nlines", "three", "four"]
    until[0] = False
    assert [*following] == []


def test_nothing_is_waited_for_that_is_not_wanted_any_more(running: Home) -> None:
    write(running, 1, "one")
    found = logs.read_events(
        running, ["h"], Asked(until=NOON + 2.0), last=None, follow=True, wanted=lambda: True, report=pytest.fail
    )
    assert [event.text for _, event in found] == ["one"]


def test_an_event_is_shown_as_it_stands_in_the_text(home: Home) -> None:
    write(home, 1, "one\ntwo\t\x1b", "ERROR", "a")
    (line,) = home.events("h").read_text().splitlines()
    fields = json.loads(line)
    event = Event(fields["time"], fields["level"], fields["alias"], fields["computation"], fields["text"])
    assert f"{show(event)}\n" == home.log("h").read_text()
    assert show(event._replace(time=0.0, text="as it is")) == "as it is"
