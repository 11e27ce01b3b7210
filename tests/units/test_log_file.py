"""The log's file: when it is rotated, what is kept, and what becomes of it where somebody else had a hand in it."""

from __future__ import annotations

import errno
import logging
import os
import re
import resource
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.log import INFO, MAX_OWED, PRINTED, WARNING, LogFile, hear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 5 * 1024 * 1024
"""Bytes of a log; there is one predecessor."""


BEGIN = len("2026-11-25T10:12:47.123+0000 INFO    ")


class Log:
    """A log and its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = path.with_name(f"{path.name}.1")
        self.file = LogFile(path)
        self.say = self.file.say

    def fill(self, lines: range, size: int) -> None:
        """Write lines of so many bytes each."""
        for number in lines:
            self.say(f"{number:<{size - BEGIN - 1}}")

    def close(self) -> None:
        self.file.close()


def texts(path: Path) -> list[str]:
    return [line[BEGIN:].rstrip() for line in path.read_text().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path / "h.log")
    yield made
    made.close()


# --- rotation


def test_it_is_rotated_before_the_line_with_which_it_would_have_five_mebibytes(log: Log) -> None:
    log.fill(range(79), 1 << 16)
    assert log.path.stat().st_size == MOST - (1 << 16)
    assert not log.before.exists()
    log.fill(range(79, 80), (1 << 16) - 1)
    assert log.path.stat().st_size == MOST - 1
    log.say("one more")
    assert texts(log.before) == [str(number) for number in range(80)]
    assert texts(log.path) == ["one more"]


def test_of_three_files_the_oldest_is_gone_and_no_line_is_in_two(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 1000)
    log.fill(range(200), 100)
    assert texts(log.before) + texts(log.path) == [str(number) for number in range(189, 200)]
    assert sorted(log.path.parent.iterdir()) == [log.path, log.before]


def test_a_line_that_is_longer_than_a_log_is_one_all_the_same(log: Log) -> None:
    log.say("before")
    log.say("x" * (MOST + 1))
    log.say("after")
    assert texts(log.path) == ["after"]
    assert log.before.stat().st_size > MOST


def test_both_are_for_this_user_alone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 1000)
    log.fill(range(11), 100)
    assert [path.stat().st_mode & 0o777 for path in (log.path, log.before)] == [0o600, 0o600]


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


@pytest.mark.parametrize("in_the_way", ["a directory", "a full one"])
def test_one_that_cannot_be_rotated_goes_on(log: Log, in_the_way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.file, "most", 100)
    log.before.mkdir()
    if in_the_way == "a full one":
        (log.before / "file").touch()
    for number in range(20):
        log.say(str(number))
    assert texts(log.path) == [str(number) for number in range(20)]


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
    assert texts(aside) == ["one", "two", "three", "four"]
    assert not log.before.exists()


def test_what_cannot_be_written_as_a_line_ends_nobody(log: Log) -> None:
    log.say(None)  # type: ignore[arg-type]
    log.say("after")
    assert texts(log.path) == ["after"]


@pytest.mark.parametrize("room", [0, 10, BEGIN + 4])
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
    assert texts(log.path) == ["before", "one", "two", "three"]


def test_of_what_cannot_be_written_for_long_no_more_is_kept_than_the_line_that_was_begun(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        log.fill(range(3), 1000)
        log.fill(range(3, 4), MAX_OWED)
        assert len(log.file._owed) == 1000
    log.say("after")
    assert texts(log.path) == ["0", "after"]


def test_a_line_is_one_system_call(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.say("the first of its second")
    with monkeypatch.context() as without:
        for name in ("stat", "fstat", "lseek"):
            without.setattr(os, name, None)
        log.say("the second")
    assert texts(log.path)[-1] == "the second"


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
        tmp_path.rmdir()
    descriptors = os.listdir("/dev/fd")
    assert log.file.keep()
    assert not log.file.keep()
    assert len(os.listdir("/dev/fd")) == len(descriptors)
    log.say("two")
    assert texts(log.path)[-1] == "two"
    assert len(log.path.read_text().splitlines()) == (2 if how == "replaced" else 1)


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


def test_a_line_says_when_with_milliseconds_and_of_what_kind(log: Log) -> None:
    log.say("an event")
    log.say("a warning", WARNING)
    log.say("printed", PRINTED)
    kinds = [
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4} (.{7}) (.*)", line)
        for line in log.path.read_text().splitlines()
    ]
    assert [kind and kind.groups() for kind in kinds] == [("INFO   ", "an event"), ("WARNING", "a warning"), ("PRINT  ", "printed")]


@pytest.mark.parametrize(("part", "shown"), [(0, "000"), (0.0075, "007"), (0.25, "250"), (0.9996, "999")])
def test_milliseconds_have_three_digits(log: Log, part: float, shown: str) -> None:
    assert f".{shown}" in log.file.format("x", INFO, 1e9 + part)


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
    assert "WARNING no more" in log.path.read_text()
