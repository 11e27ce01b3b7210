"""The log's files: when they are rotated, what is kept, and what becomes of it where somebody else had a hand in it."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import resource
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from nectar.events import PRINTED, WARNING
from nectar.runtime.daemon.log import MAX_OWED, LogFile, hear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 5 * 1024 * 1024
"""Bytes of a file; there is one predecessor."""
BEGIN = len("2026-11-25T10:12:47.123+00:00 INFO    - -: ")
OBJECT = len('{"time": 1796042430.141, "level": "INFO", "alias": null, "computation": null, "text": ""}\n')


class Log:
    """A log and its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = path.with_name(f"{path.name}.1")
        self.events = path.with_name("h.jsonl")
        self.events_before = path.with_name("h.jsonl.1")
        self.file = LogFile(path, self.events)
        self.say = self.file.say

    def fill(self, lines: range, size: int) -> None:
        """Write events of so many bytes of JSON each, which is more than of text."""
        for number in lines:
            self.say(f"{number:<{size - OBJECT}}")

    def close(self) -> None:
        self.file.close()


def texts(path: Path) -> list[str]:
    return [line[BEGIN:].rstrip() for line in path.read_text().splitlines()]


def events(path: Path) -> list[str]:
    return [json.loads(line)["text"].rstrip() for line in path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "h.log")
    yield made
    made.close()


# --- rotation


def test_it_is_rotated_before_the_line_with_which_it_would_have_five_mebibytes(log: Log) -> None:
    log.fill(range(79), 1 << 16)
    assert log.events.stat().st_size == MOST - (1 << 16)
    assert not log.before.exists() and not log.events_before.exists()
    log.fill(range(79, 80), (1 << 16) - 1)
    assert log.events.stat().st_size == MOST - 1
    log.say("one more")
    assert texts(log.before) == events(log.events_before) == [str(number) for number in range(80)]
    assert texts(log.path) == events(log.events) == ["one more"]


def test_the_text_s_size_counts_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 2850)
    log.say("\n" * 60)
    log.say("after")
    assert log.events_before.stat().st_size < 300
    assert events(log.events) == texts(log.path) == ["after"]


def test_of_three_files_the_oldest_is_gone_and_no_line_is_in_two(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 1000)
    log.fill(range(200), 100)
    kept = [str(number) for number in range(189, 200)]
    assert texts(log.before) + texts(log.path) == events(log.events_before) + events(log.events) == kept
    assert sorted(log.path.parent.iterdir()) == [log.events, log.events_before, log.path, log.before]


def test_a_line_that_is_longer_than_a_log_is_one_all_the_same(log: Log) -> None:
    log.say("before")
    log.say("x" * (MOST + 1))
    log.say("after")
    assert texts(log.path) == ["after"]
    assert log.before.stat().st_size > MOST


def test_all_are_for_this_user_alone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 1000)
    log.fill(range(11), 100)
    assert {path.name: path.stat().st_mode & 0o777 for path in log.path.parent.iterdir()} == dict.fromkeys(
        ("h.log", "h.log.1", "h.jsonl", "h.jsonl.1"), 0o600
    )


@pytest.mark.parametrize(
    ("limit", "most"), [(resource.RLIM_INFINITY, MOST), (1 << 40, MOST), (2 * MOST, MOST), (MOST, MOST // 2), (1000, 500)]
)
def test_where_no_file_of_so_many_bytes_may_be_written_it_is_rotated_at_half_of_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (limit, resource.RLIM_INFINITY))
    log = Log(tmp_path / "h.log")
    log.close()
    assert log.file.most == most


@pytest.mark.parametrize("of", ["text", "events"])
@pytest.mark.parametrize("in_the_way", ["a directory", "a full one"])
def test_where_one_cannot_be_rotated_both_go_on(log: Log, in_the_way: str, of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 100)
    before = log.before if of == "text" else log.events_before
    before.mkdir()
    if in_the_way == "a full one":
        (before / "file").touch()
    for number in range(20):
        log.say(str(number))
    assert texts(log.path) == events(log.events) == [str(number) for number in range(20)]


@pytest.mark.parametrize("in_its_place", ["nothing", "another's", "a directory"])
def test_it_is_not_rotated_while_its_name_is_not_its_own(
    tmp_path: Path, log: Log, in_its_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.file, "most", 100)
    log.say("one")
    aside = log.path.rename(tmp_path / "aside")
    if in_its_place == "another's":
        log.path.write_text("another's\n")
    elif in_its_place == "a directory":
        log.path.mkdir()
    for text in ("two", "three", "four"):
        log.say(text)
    assert texts(aside) == events(log.events) == ["one", "two", "three", "four"]
    assert not log.before.exists() and not log.events_before.exists()


def test_what_cannot_be_written_as_a_line_ends_nobody(log: Log) -> None:
    log.say(None)  # type: ignore[arg-type]
    log.say("after")
    assert texts(log.path) == ["after"]


@pytest.mark.parametrize("room", [0, 10, BEGIN + 4, BEGIN + 4 + OBJECT + 3])
def test_of_a_line_that_a_full_disk_took_half_of_the_other_half_comes_first(
    log: Log, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.say("before")
    write, left = os.write, [room]

    def full(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        for text in ("one", "two"):
            log.say(text)
    log.say("three")
    assert texts(log.path) == events(log.events) == ["before", "one", "two", "three"]


def test_of_what_cannot_be_written_for_long_no_more_is_kept_than_the_line_that_was_begun(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        log.fill(range(3), 1000)
        log.fill(range(3, 4), MAX_OWED)
        assert len(log.file._json._owed) == 1000
    log.say("after")
    assert texts(log.path) == events(log.events) == ["0", "after"]


def test_an_event_is_one_system_call_for_each_file_and_several_are_no_more(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.say("the first of its second")
    write, written = os.write, []

    def count(descriptor: int, data: bytes) -> int:
        written.append(descriptor)
        return write(descriptor, data)

    with monkeypatch.context() as without:
        for name in ("stat", "fstat", "lseek"):
            without.setattr(os, name, None)
        without.setattr(os, "write", count)
        log.say("the second")
        assert len(written) == len({*written}) == 2
        log.file.say_all(map(str, range(100)), PRINTED, "one", "a")
        assert len(written) == 4
    assert texts(log.path)[-1] == ": 99"
    assert events(log.events)[1:] == ["the second", *map(str, range(100))]


# --- a file that is another


def test_it_is_kept_where_it_has_its_name(log: Log) -> None:
    log.say("one")
    assert not log.file.keep()
    log.say("two")
    assert texts(log.path) == ["one", "two"]


@pytest.mark.parametrize("how", ["removed", "moved", "replaced", "its directory removed"])
def test_where_it_has_lost_its_name_it_goes_on_in_the_file_that_has_it(tmp_path: Path, log: Log, how: str) -> None:
    aside = tmp_path.parent / f"{tmp_path.name}.aside"
    log.say("one")
    log.path.rename(aside)
    if how == "removed":
        aside.unlink()
    elif how == "replaced":
        log.path.write_text("another's\n")
    elif how == "its directory removed":
        log.events.unlink()
        tmp_path.rmdir()
    descriptors = os.listdir("/dev/fd")
    assert log.file.keep()
    assert not log.file.keep()
    assert len(os.listdir("/dev/fd")) == len(descriptors)
    log.say("two")
    assert texts(log.path)[-1] == events(log.events)[-1] == "two"
    assert len(log.path.read_text().splitlines()) == (2 if how == "replaced" else 1)


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
def test_so_do_the_events(tmp_path: Path, log: Log, how: str) -> None:
    log.say("one")
    aside = log.events.rename(tmp_path / "aside")
    if how == "removed":
        aside.unlink()
    elif how == "replaced":
        log.events.touch()
    assert log.file.keep()
    assert not log.file.keep()
    log.say("two")
    assert events(log.events) == ["two"]
    assert texts(log.path) == ["one", "two"]


def test_where_one_cannot_be_made_anew_the_other_is(tmp_path: Path, log: Log) -> None:
    log.path.rename(tmp_path / "aside")
    log.events.unlink()
    log.events.mkdir()
    with pytest.raises(OSError, match=re.escape(str(log.events))):
        log.file.keep()
    log.say("two")
    assert texts(log.path) == ["two"]


@pytest.mark.parametrize("in_its_place", ["a directory", "a link"])
def test_where_there_cannot_be_one_it_goes_on_in_the_one_it_has(tmp_path: Path, log: Log, in_its_place: str) -> None:
    aside = log.path.rename(tmp_path / "aside")
    if in_its_place == "a link":
        log.path.symlink_to("nowhere")
    else:
        log.path.mkdir()
    with pytest.raises(OSError, match=re.escape(str(log.path))):
        log.file.keep()
    log.say("still here")
    assert texts(aside) == ["still here"]


def test_a_pipe_that_nobody_reads_is_not_waited_for(log: Log) -> None:
    log.path.unlink()
    os.mkfifo(log.path)
    with pytest.raises(OSError, match="No such device"):
        log.file.keep()


# --- lines


def test_a_line_says_when_with_milliseconds_of_what_kind_and_whose(log: Log) -> None:
    log.say("an event")
    log.say("a warning", WARNING, "one")
    log.say("printed: \x1b[31mred", PRINTED, "one", "3f2a")
    lines = [
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (.{7}) (\S+) (\S+): (.*)", line)
        for line in log.path.read_text().splitlines()
    ]
    assert [line and line.groups() for line in lines] == [
        ("INFO   ", "-", "-", "an event"),
        ("WARNING", "one", "-", "a warning"),
        ("PRINT  ", "one", "3f2a", "printed: \\x1b[31mred"),
    ]


def test_the_same_is_a_line_of_json_of_the_same_time(log: Log) -> None:
    begun = time.time()
    log.say("one\n\x1b[31mtwo \udcff ü", WARNING, "one", "3f2a")
    log.say("three")
    raw = log.events.read_bytes()
    assert raw.isascii() and b"\x1b" not in raw
    whole, other = map(json.loads, raw.splitlines())
    when = whole.pop("time")
    assert begun - 0.001 <= when <= time.time()
    assert whole == {"level": "WARNING", "alias": "one", "computation": "3f2a", "text": "one\n\x1b[31mtwo \udcff ü"}
    assert (other["alias"], other["computation"]) == (None, None)
    lines = log.path.read_text(errors="surrogateescape").splitlines()
    assert {datetime.fromisoformat(line.split()[0]).timestamp() for line in lines[:2]} == {when}


@pytest.mark.parametrize(("part", "shown"), [(0, "000"), (0.0075, "007"), (0.25, "250"), (0.9996, "999")])
def test_milliseconds_have_three_digits(log: Log, part: float, shown: str) -> None:
    text, seconds = log.file.stamp(1e9 + part)
    assert f".{shown}" in text
    assert seconds == f"1000000000.{shown}"


def test_no_text_looks_like_an_event_that_is_none(log: Log) -> None:
    log.say("one\n2026-11-25T10:12:47.123+0000 INFO    two\n\x1b[31m\r")
    assert texts(log.path) == ["one", "| 2026-11-25T10:12:47.123+0000 INFO    two", "| \\x1b[31m\\r"]


def test_complaints_of_watchdog_are_in_it_too(log: Log) -> None:
    heard = logging.getLogger("watchdog")
    before = [*heard.handlers]
    hear("watchdog", log.say)
    try:
        logging.getLogger("watchdog.observers").warning("no more %s", "watches")
    finally:
        heard.handlers[:] = before
        heard.propagate = True
    assert texts(log.path) == ["no more watches"]
    assert "WARNING - -: no more" in log.path.read_text()
