"""A user whom the system does not know, without a home directory: what containers run programs as."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import pythons

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.once

STRANGER = ["unshare", "--user", "--map-user=54321", "--map-group=54321", "env", "-u", "UV_CACHE_DIR"]
HOMES = {"none": ["-u", "HOME"], "one that cannot be written": ["HOME=/proc"]}


@pytest.fixture(autouse=True)
def _stranger() -> None:
    if shutil.which("unshare") is None or subprocess.run([*STRANGER, "true"], check=False, capture_output=True).returncode:
        pytest.skip("nobody can be somebody else here")


IN_TURN = """
import importlib, json, os, sys

from nectar import cli
from nectar.cli import verbs

common, *commands = json.loads(sys.argv[1])
for module in ("boundary", *(f"commands.{verb}" for verb, *_ in commands if verb in verbs.VERBS)):
    importlib.import_module(f"nectar.cli.{module}")
for command in commands:
    if (child := os.fork()) == 0:
        sys.argv[1:] = [*common, *command]
        cli.main()
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(code)
"""


def said(world: World, wrap: list[str], *commands: list[str], code: int = 0, data_dir: bool = True) -> str:
    """What commands say, one after the other: one namespace for all of them, as a container is one, and one interpreter that has
    imported them there.
    """
    common = world.command()[3:] if data_dir else []
    program = [sys.executable, "-c", IN_TURN, json.dumps([common, *commands])]
    whole = [*STRANGER, *wrap, f"PATH={pythons.path_with_few()}", *program]
    ended = subprocess.run(whole, cwd=world.directory, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_what_needs_a_home_says_what_to_do(world: World) -> None:
    for arguments in (["view"], ["test", "twice.py"], ["launch", "twice.py"]):
        world.file("twice.py")
        told = said(world, HOMES["none"], arguments, code=2, data_dir=False)
        assert "There is no home directory, and so no data dir." in told
        assert "--data-dir" in told
    assert "Set HOME" in said(world, HOMES["none"], ["--data-dir", "~/x", "view"], code=2, data_dir=False)


def test_what_needs_none_works(world: World) -> None:
    assert "Run it" in said(world, HOMES["none"], ["new", "project", "--no-dev"], ["--help"], data_dir=False)


@pytest.mark.parametrize("home", ["none", pytest.param("one that cannot be written", marks=pytest.mark.soak)])
def test_with_a_data_dir_everything_works(fresh: World, home: str) -> None:
    """Uv's cache is in the data dir then: it would be in the current directory otherwise, or fail. What follows a build is the same
    wherever that is.
    """
    fresh.node()
    file = str(fresh.file("twice.py"))
    before = sorted(fresh.directory.iterdir())
    after = [
        ["launch", file, "--attach", "alice"],
        ["submit", "alice", "abcd"],
        ["restart", "twice"],
        ["exec", "twice", "--", "python", "-c", "print(1)"],
        ["stop", "twice"],
        ["start", "twice"],
        ["logs", "twice", "--no-follow"],
        ["remove", "twice", "--stop"],
    ]
    said(fresh, HOMES[home], ["doctor"], ["test", file], *(after if home == "none" else ()), ["gc"])
    assert sorted(fresh.directory.iterdir()) == before
    assert fresh.home.uv_cache.is_dir()
