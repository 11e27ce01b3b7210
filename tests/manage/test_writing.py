"""A file that is written is there whole or as it was."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from nectar.manage.files.writing import write_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = os.umask(0)
    try:
        for content in (b"one", b"two"):
            write_whole(path, content, synced=content == b"two")
            assert path.read_bytes() == content
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_one_that_was_killed_has_left_is_replaced_and_not_followed(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    (tmp_path / "file.new").symlink_to(elsewhere)
    write_whole(path, b"one")
    assert sorted(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_what_there_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(path, b"one")
    assert list(tmp_path.iterdir()) == [path]


def test_what_finds_no_room_has_its_place_in_the_error(tmp_path: Path) -> None:
    """As on a full disk: the system names no file where a write fails."""
    path = tmp_path / "file"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            write_whole(path, b"x" * 2048)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
