"""The commonest mistakes, each told with the thing, the place, and what to type: the table is beside this."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from nectar.testing.sample import sample
from tests.mistakes.table import BUILD, FILES, HEAD, MODULES, OK, PROJECTS, Mistake

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

PROJECT = HEAD.replace('"h"', '"mistakes"') + '[project.entry-points."nectar.handlers"]\n{entries}\n' + BUILD
CHOSEN = '[project.optional-dependencies]\nweb = ["click >= 8"]\n[dependency-groups]\ndev = [{include-group = "more"}, "pytest>=8"]\nmore = []\n'
KEPT_OUT = '[tool.uv.build-backend]\nwheel-exclude = ["**/*.dat"]\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def look(world: World, mistake: Mistake, at: Path, *arguments: str | Path) -> None:
    """Try a handler, and look at what is told, and that it is told once."""
    ended = world.run("test", *arguments, *mistake.arguments, code=mistake.exits, env={"API_KEY": "secret"})
    told = ended.stderr
    for part in mistake.told:
        wanted = part.replace("{at}", str(at)).replace("{project}", str(world.directory / arguments[0]))
        assert wanted in told, f"{wanted!r} is not in\n{told}"
    assert "site-packages" not in re.sub("'/[^']*'", "", told), told
    assert "nectar/runtime" not in told
    told_by_uv = [line for line in told.splitlines() if line.startswith(("error: ", "  cause: "))]
    assert len(told_by_uv) == len({*told_by_uv}), told
    assert mistake.exits == 0 or re.search("^❌ ", told, re.MULTILINE), told


@pytest.mark.parametrize("name", MODULES)
def test_in_a_project(world: World, name: str) -> None:
    top = world.directory / "mistakes"
    entries = "\n".join(f'{each} = "mistakes.{each}{mistake.entry}"' for each, mistake in MODULES.items())
    write(top / "pyproject.toml", PROJECT.format(entries=entries) + CHOSEN + KEPT_OUT)
    for file in ("tools.py", "src/mistakes/__init__.py", "src/mistakes/helpers.py", "src/mistakes/words.dat"):
        write(top / file, "")
    for each, mistake in MODULES.items():
        write(top / "src" / "mistakes" / f"{each}.py", mistake.code)
    write(world.directory / "short.json", json.dumps({**json.loads(sample().to_json()), "deadline": 0.2}))
    look(world, MODULES[name], top / "src" / "mistakes" / f"{name}.py", "mistakes", "--handler", name)


@pytest.mark.parametrize("name", FILES)
def test_in_a_single_file(world: World, name: str) -> None:
    write(world.directory / "helper.py", "")
    look(world, FILES[name], write(world.directory / name, FILES[name].code), name)


@pytest.mark.parametrize("name", PROJECTS)
def test_in_what_a_project_says(world: World, name: str) -> None:
    write(world.directory / "h" / "src" / "h" / "__init__.py", OK)
    look(world, PROJECTS[name], write(world.directory / "h" / "pyproject.toml", PROJECTS[name].code), "h")
