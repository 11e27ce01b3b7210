"""Following a log whose writer rotates, truncates and removes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nectar.errors import NotFoundError
from nectar.home import Home
from nectar.manage.handlers import logs

if TYPE_CHECKING:
    pass


def test_lines_before_a_rotation_count_too(home: Home) -> None:
    home.log("h").with_name("h.log.1").write_text("1\n2\n3\n")
    home.log("h").write_text("4\n5")
    assert list(logs.read_lines(home, "h", last=4, follow=False)) == ["2", "3", "4", "5"]
    assert list(logs.read_lines(home, "h", last=1, follow=False)) == ["5"]
    assert list(logs.read_lines(home, "h", last=0, follow=False)) == []


def test_follows_over_rotations_and_truncation(home: Home) -> None:
    log = home.log("h")
    log.write_text("1\n")
    following = logs.read_lines(home, "h", last=5, follow=True)
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


def test_a_log_that_is_still_to_come(home: Home) -> None:
    with pytest.raises(NotFoundError):
        logs.read_lines(home, "h", last=5, follow=True)
    home.registry.write_text('{"h": {}}')
    following = logs.read_lines(home, "h", last=5, follow=True)
    home.log("h").write_text("1\n")
    assert next(following) == "1"
    following.close()
    assert list(logs.read_lines(home, "h", last=5, follow=False)) == ["1"]
