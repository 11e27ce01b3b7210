"""Whether a wall can stand: a bubblewrap that cannot is told with why, and one that could is remembered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nectar.manage.wall import trying
from tests import needs

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.home import Home

NEW = '[ "$1" = --version ] && { echo bubblewrap 0.11.0; exit; }\n'


@pytest.mark.parametrize(
    ("script", "mode", "said"),
    [
        ("echo bubblewrap 0.6.1", 0o755, "bwrap is bubblewrap 0.6.1, and 0.8.0 is the first that can."),
        ("echo bubblewrap", 0o755, "and 0.8.0 is the first that can."),
        (NEW, 0o4755, "is setuid, which has other rights than its caller."),
        (NEW + "echo 'bwrap: Creating new namespace failed' >&2; exit 1", 0o755, "fails: bwrap: Creating new namespace failed"),
        (NEW + "kill -SEGV $$", 0o755, "fails: exit code -11"),
        ("exit 3", 0o755, "is no bubblewrap"),
    ],
)
def test_what_cannot_is_told_with_why(tmp_path: Path, script: str, mode: int, said: str) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(mode)
    refusal = trying._try(str(program))
    assert refusal is not None
    assert said in refusal.what
    assert str(program) in refusal.what


@needs.wall
def test_one_that_could_is_remembered_until_the_next_start_of_the_machine(home: Home) -> None:
    program = trying.require(home)
    written = home.wall.read_bytes()
    assert json.loads(written)["program"][0] == program
    home.wall.write_bytes(written.replace(b'"boot": "', b'"boot": "another '))
    assert trying.require(home) == program
    assert home.wall.read_bytes() == written
    for nonsense in (b"", b"[]", b"{}", b"\xff"):
        home.wall.write_bytes(nonsense)
        assert trying.require(home) == program
    assert home.wall.read_bytes() == written
