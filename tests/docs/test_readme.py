"""README, typed as it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import PAGES, ROOT, blocks
from tests.docs.sessions import check_sessions

if TYPE_CHECKING:
    from tests.world import World


@pytest.mark.uv
def test_what_it_shows_is_what_happens(world: World) -> None:
    home = world.directory / "you"
    home.mkdir()
    (home / ".bee-hive").symlink_to(world.home.data_dir)
    (code,) = blocks("README.md", "python")
    (home / "my_handler.py").write_text(code, encoding="utf-8")
    troubleshooting = blocks("README.md", "bash", after="## Troubleshooting")
    check_sessions(blocks("README.md", "console"), home=home, folder=home, then=troubleshooting)


def test_it_shows_two_commands_first() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index("```") == text.index(
        "```bash\npython3 -m venv .venv && .venv/bin/pip install uv && .venv/bin/uv run nectar demo\n```"
    )


def test_ci_runs_readmes_second_command() -> None:
    _, second = blocks("README.md", "bash")[:2]
    assert f"\n{second}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for page in map(ROOT.joinpath, PAGES):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_it_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"](docs/{page.name})" in text
