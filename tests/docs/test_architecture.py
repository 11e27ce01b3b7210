"""The map in ARCHITECTURE.md is that of the code: no name in it is wrong, and no module is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

CODE = ROOT / "src" / "nectar"
ROWS = dict(re.findall(r"^\| `([a-z/]+)/` \| (.*) \|$", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE))
VERBS = CODE / "cli" / "commands"
"""Has one module for each verb, and so no list of them."""


def folder_of(room: str) -> Path:
    return CODE if room == "nectar" else CODE / room


@pytest.mark.parametrize("room", ROWS)
def test_a_room_has_the_modules_that_the_map_names(room: str) -> None:
    named = set(re.findall(r"`([a-z_]+)`", ROWS[room]))
    assert named == {file.stem for file in folder_of(room).glob("*.py") if not file.stem.startswith("__")}


def test_each_folder_is_a_room_of_the_map() -> None:
    folders = {file.parent for file in CODE.rglob("*.py")} - {VERBS}
    folders -= {folder for folder in folders if [file.name for file in folder.glob("*.py")] == ["__init__.py"]}
    assert folders == {folder_of(room) for room in ROWS}
