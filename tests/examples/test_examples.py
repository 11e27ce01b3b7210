"""Every example as its README shows it, launched and asked; and its own tests, and the template's, in the environment that an author has."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.manage.uv.uv import find_uv
from nectar.testing.sample import sample
from tests import pythons
from tests.docs.blocks import blocks
from tests.docs.sessions import check_sessions

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WITH_SESSIONS = [
    readme.parent.name for readme in sorted(EXAMPLES.glob("*/README.md")) if "$ nectar" in readme.read_text(encoding="utf-8")
]
WITH_TESTS = [*(folder.parent for folder in sorted(EXAMPLES.glob("*/tests"))), ROOT / "handlers-template"]
TOGETHER = [WITH_TESTS[number::3] for number in range(3)]
"""Some at a time, because each process that runs tests would compile pytest for itself, which takes longer than an example's own tests."""
LEFT_OUT = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache", "uv.lock", "dist")


def newer() -> str:
    """Which Python an example that wants one after 3.11 is given."""
    return next((version for version in ("3.13", "3.12") if pythons.find(version)), "3.12")


def ask(world: World, query: str, *, alias: str) -> dict[str, Any]:
    """Ask as a node does, and return the answer."""
    question = sample(query, comp_id="q")
    (world.home.computations(alias) / "q.pending").write_bytes(question.to_json())
    return world.answer("q", alias=alias)


@pytest.mark.parametrize("handlers", TOGETHER, ids=[", ".join(folder.name for folder in some) for some in TOGETHER])
def test_their_own_tests_pass(world: World, handlers: list[Path]) -> None:
    for handler in handlers:
        run_its_tests(world, handler)


def run_its_tests(world: World, handler: Path) -> None:
    # All are at one place, so that pytest is compiled for the first alone; what is their own is another's each time.
    folder, compiled = world.directory / "project", world.directory / "compiled"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(handler, folder, ignore=LEFT_OUT)
    for name in ("src", "tests"):
        shutil.rmtree(compiled / folder.relative_to("/") / name, ignore_errors=True)
    path = pythons.path_with(newer() if handler.name == "pins_new" else "3.11")
    world.run("dev", folder, env={"PATH": path})
    # What selects an environment or a Python here is not the author's.
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "UV_PYTHON", "UV_PROJECT"))
    }
    variables |= {"PATH": path, "PYTHONPYCACHEPREFIX": str(compiled)}
    command = [str(find_uv()), "run", "--directory", str(folder), "pytest", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, timeout=100)
    assert ran.returncode == 0, f"{handler.name}: {ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("example", WITH_SESSIONS)
def test_it_does_what_its_readme_shows(world: World, example: str) -> None:
    world.node()
    home = world.directory / "you"
    folder = home / example
    shutil.copytree(EXAMPLES / example, folder, ignore=LEFT_OUT)
    data_dir = {"NECTAR_DATA_DIR": str(world.home.data_dir)}
    check_sessions(blocks(f"examples/{example}/README.md", "console"), home=home, folder=folder, env=data_dir)


def test_opposite_pins_run_side_by_side(world: World) -> None:
    path = pythons.path_with(newer(), "3.11")
    for example, alias in (("pins_old", "alice"), ("pins_new", "bob")):
        world.node(alias)
        world.run("launch", EXAMPLES / example, "--attach", alias, env={"PATH": path})
    assert {record["status"] for record in world.registry().values()} == {"running"}
    click, pluggy, pydantic, watchdog = _versions(ask(world, "abc", alias="bob"))
    assert click >= 0x82
    assert pluggy >= 0x16
    assert pydantic >= 0x2B
    assert watchdog >= 0x60
    assert _versions(ask(world, "abc", alias="alice")).hex(" ") == "71 0d 1a 21"


def _versions(answer: dict[str, Any]) -> bytes:
    value: int = answer["result"]["value"]
    return value.to_bytes(4, "big")
