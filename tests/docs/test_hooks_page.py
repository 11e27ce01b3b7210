"""The files in docs/hooks.md, as a reader would write them down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.runtime.worker.hooks import SPECIFIED
from tests.docs.blocks import ROOT, blocks

if TYPE_CHECKING:
    from tests.world import World

PAGE = "docs/hooks.md"


def written(directory: Path) -> dict[str, Path]:
    """The files of the page, by their names."""
    files = {}
    for code in blocks(PAGE, "python"):
        name = code.splitlines()[0].removeprefix("# ")
        files[name] = directory / name
        files[name].write_text(code, encoding="utf-8")
    return files


def test_the_page_names_every_hook_and_no_other() -> None:
    page = ROOT.joinpath(PAGE).read_text(encoding="utf-8")
    assert {*re.findall(r"nectar_[a-z_]+", page)} == {*SPECIFIED}


def test_what_looks_after_answers_counts_them(world: World) -> None:
    told = world.run("test", written(world.directory)["counted.py"], "--repeat", "100")
    assert "{'success': 100}" in told.stderr
