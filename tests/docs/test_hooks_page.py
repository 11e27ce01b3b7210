"""The files in docs/hooks.md, as a reader would write them down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nectar.manage.uv.uv import find_uv
from nectar.runtime.worker.hooks import SPECIFIED
from tests.docs.blocks import ROOT, files
from tests.world import PATIENCE

if TYPE_CHECKING:
    from tests.world import World

PAGE = "docs/hooks.md"


@pytest.fixture
def written(world: World) -> World:
    """Where the files of the page are."""
    for name, code in files(PAGE).items():
        path = world.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    return world


def test_the_page_names_every_hook_and_no_other() -> None:
    page = ROOT.joinpath(PAGE).read_text(encoding="utf-8")
    assert {*re.findall(r"nectar_[a-z_]+", page)} - {"nectar_waiting"} == {*SPECIFIED}


def test_what_looks_after_answers_counts_them(written: World) -> None:
    told = written.run("test", written.directory / "counted.py", "--repeat", "100")
    assert "{'success': 100}" in told.stderr


@pytest.mark.uv
@pytest.mark.once
def test_a_plugin_that_uv_has_installed_adds_its_verb_and_no_handler_has_it(written: World) -> None:
    beside = written.directory / "beside"
    environment = {**os.environ, "PYTHONPATH": str(beside)}
    command = [str(find_uv()), "pip", "install", "-q", "--offline", "--python", sys.executable, "--target", str(beside)]
    subprocess.run([*command, str(written.directory / "nectar-waiting")], check=True, timeout=PATIENCE)
    written.node("bob")
    written.node("alice").joinpath("q1.pending").write_text("{}")
    assert written.run("waiting", env=environment).stdout == "alice: 1\nbob: 0\n"
    listed = written.run("plugins", env=environment).stdout
    assert listed == "nectar-waiting 0.1.0: waiting (nectar_waiting)\n   Hooks: nectar_commands\n   Verbs: waiting\n"
    handler = """
        import importlib.util
        from nectar import handler

        @handler
        def answer(comp):
            return int(importlib.util.find_spec("nectar_waiting") is None)
        """
    assert "Result: 1" in written.run("test", written.file("looks.py", handler), env=environment).stdout
