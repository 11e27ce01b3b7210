"""Sessions of nox, one for each handler's project below a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import pythons

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.once

NOXFILE = """
    from nectar.testing.nox import handlers

    handlers("handlers", tags=["all"], data_dir={data_dir!r})
    handlers("nothing", name="nothing")
    handlers("handlers", name="tests", unasked=["ours"], data_dir={data_dir!r})
    """
PROJECT = """
    [project]
    name = "{name}"
    version = "0.1.0"
    requires-python = ">=3.11"
    keywords = {keywords}

    [project.entry-points."nectar.handlers"]
    longer = "{name}:longer"
    shorter = "{name}:shorter"

    [dependency-groups]
    dev = {dev}

    [build-system]
    requires = ["uv_build>=0.9,<1"]
    build-backend = "uv_build"
    """
HANDLERS = """
    from nectar import handler

    @handler
    def longer(comp):
        return len(comp.query) + 1

    @handler
    def shorter(comp):
        return len(comp.query) - 1
    """
TESTS = """
    import sys

    def test_where():
        print("in", sys.prefix)
    """


def write_project(world: World, path: str, *, dev: str = "[]", keywords: str = "[]") -> None:
    name = path.rpartition("/")[2]
    world.file(f"{path}/pyproject.toml", PROJECT.format(name=name, dev=dev, keywords=keywords))
    world.file(f"{path}/src/{name}/__init__.py", HANDLERS)
    world.file(f"{path}/tests/test_it.py", TESTS)


def nox(world: World, *arguments: str, code: int = 0) -> str:
    world.file("noxfile.py", NOXFILE.format(data_dir=str(world.home.data_dir)))
    variables = {**os.environ, "PATH": pythons.path_with("3.11"), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "nox", *arguments],
        cwd=world.directory,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == code, ended.stdout
    return ended.stdout


def test_a_session_for_each_project(world: World) -> None:
    write_project(world, "handlers/one", keywords='["nlp"]')
    write_project(world, "handlers/group/two")
    write_project(world, "handlers/one/within")
    world.file("handlers/broken/pyproject.toml", "[[")
    world.file("handlers/library/pyproject.toml", '[project]\nname = "library"\n')
    world.file("handlers/.venv/other/pyproject.toml", PROJECT.format(name="other", dev="[]", keywords="[]"))
    listed = [line.split(" -> ")[0] for line in nox(world, "-l").splitlines() if line.startswith("* ")]
    assert listed[:4] == ["* handlers(broken) [all]", "* handlers(group/two) [all]", "* handlers(one) [all,nlp]", "* nothing"]
    assert [line[0] for line in nox(world, "-l", "-t", "nlp").splitlines() if " -> " in line] == ["-", "-", "*", *"---*"]
    told = nox(world, "-s", "handlers(broken)", "nothing", code=1)
    assert "pyproject.toml" in told
    assert "skipped" in told


@pytest.mark.uv
def test_its_tests_run_where_it_has_a_pytest_else_here(world: World) -> None:
    write_project(world, "handlers/theirs", dev='["pytest>=8"]')
    write_project(world, "handlers/ours")
    told, alone = nox(world, "-s", "handlers", "tests(ours)", "--", "-s", "-p", "no:cacheprovider").split("session tests(ours)\n")
    assert f"in {world.directory / 'handlers' / 'theirs' / '.venv'}\n" in told
    assert f"in {sys.prefix}\n" in told
    for answer in (41, 43):
        assert told.count(f"✅ Result: {answer}") == 2
    assert "1 passed" in alone
    assert "Result" not in alone.partition("Ran multiple sessions")[0]
