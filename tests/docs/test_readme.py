"""README, typed as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.world import PATIENCE, World

DONE = "---8<---"
CHANGES = [
    (r"PID \d+", "PID N"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}[+-]\d{4})?", "TIME"),
    (r"\d+\.\d+ ?s\b", "SECONDS"),
    (r"nectar \d+\.\S+, Python 3\.\d+\.\d+", "VERSIONS"),
    (r"\b[0-9a-f]{8}\b", "ID"),
]
"""What is another each time."""


def steps() -> list[tuple[str, str]]:
    """The quick start's commands, each with what it prints."""
    found = []
    for block in blocks("README.md", "console", after="## Quick start"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = step.partition("\n")
            found.append((command, printed))
    return found


def settled(text: str) -> str:
    for pattern, word in CHANGES:
        text = re.sub(pattern, word, text)
    return text


@pytest.mark.uv
def test_the_quick_start_prints_what_it_shows(tmp_path: Path) -> None:
    home = tmp_path / "you"
    home.mkdir()
    (code,) = blocks("README.md", "python", after="## Quick start")
    (home / "my_handler.py").write_text(code, encoding="utf-8")
    script = "\n".join(f"{command}\necho '{DONE}'" for command, _ in steps())
    environment = {**os.environ, "HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for name in ("UV_PROJECT_ENVIRONMENT", "UV_PYTHON"):
        environment.pop(name, None)
    world = World(tmp_path)
    world.home = type(world.home)(home / ".bee-hive")
    try:
        ran = subprocess.run(
            ["bash", "-e"],
            input=script,
            capture_output=True,
            text=True,
            cwd=home,
            env=environment,
            timeout=2 * PATIENCE,
            check=False,
        )
    finally:
        world.close()
    printed = ran.stdout.replace(str(home), "/home/you").split(f"{DONE}\n")
    for (command, expected), actual in zip(steps(), printed, strict=False):
        assert settled(actual) == settled(expected), f"{command}\n{ran.stderr}"
    assert len(printed) == len(steps()) + 1, ran.stderr


def test_ci_runs_readmes_second_command() -> None:
    _, second = blocks("README.md", "bash", after="## Two commands")
    assert f"\n{second}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
