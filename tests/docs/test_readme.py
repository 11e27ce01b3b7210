"""README, typed as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nectar.home import Home
from tests.docs.blocks import ROOT, blocks
from tests.docs.sessions import check_sessions
from tests.world import World


@pytest.mark.uv
def test_the_quick_start_prints_what_it_shows(tmp_path: Path) -> None:
    home = tmp_path / "you"
    home.mkdir()
    (code,) = blocks("README.md", "python")
    (home / "my_handler.py").write_text(code, encoding="utf-8")
    world = World(tmp_path)
    world.home = Home(home / ".bee-hive")
    try:
        check_sessions(blocks("README.md", "console"), home=home, folder=home)
    finally:
        world.close()


def test_ci_runs_readmes_second_command() -> None:
    _, second = blocks("README.md", "bash", after="## Two commands")
    assert f"\n{second}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
