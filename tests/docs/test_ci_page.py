"""What the page has CI type, typed in a clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar.manage.uv.uv import find_uv, select_variables
from tests.docs.blocks import blocks

if TYPE_CHECKING:
    from tests.world import World

GIT = ["git", "-c", "user.name=you", "-c", "user.email=you@localhost"]


@pytest.mark.uv
@pytest.mark.once
def test_a_clone_is_ready_and_its_lock_as_it_was(world: World) -> None:
    project, clone = world.project("cloned"), world.directory / "clone"
    (project / "tests" / "computations").mkdir()
    (project / "tests" / "computations" / "short.json").write_text(json.dumps({"query": "abc", "expected": 6}))
    commands = world.directory / "bin"
    commands.mkdir()
    (commands / "uv").symlink_to(find_uv())
    (commands / "nectar").write_text(f'#!/bin/sh\nexec {sys.executable} -m nectar "$@"\n')
    (commands / "nectar").chmod(0o755)
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    environment = {**select_variables(os.environ), "PATH": path, "NECTAR_DATA_DIR": str(world.home.data_dir)}

    def run(*command: str | Path, directory: Path) -> str:
        ended = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    run("uv", "lock", "--quiet", directory=project)
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "."], ["clone", "-q", ".", clone]):
        run(*GIT, *words, directory=project)
    sync, asked = blocks("docs/ci.md", "bash")
    assert "2 passed" in run("bash", "-e", "-c", sync, directory=clone)
    assert "✅ short: 6" in run("bash", "-e", "-c", asked, directory=clone)
    assert run("git", "status", "--short", directory=clone) == ""
    assert "bee-hive-nectar" not in (clone / "uv.lock").read_text()
