"""The files in the pages for authors, as a reader would write them down."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nectar
from nectar import Computation
from nectar.settings import Settings
from tests.docs import blocks as pages
from tests.docs.blocks import ROOT, blocks, files, languages
from tests.docs.sessions import check_sessions

if TYPE_CHECKING:
    from tests.world import World

PAGE = "docs/handler.md"
PAGES = [page for page in pages.PAGES if page.startswith("docs/") and {"python", "console"} & languages(page)]
INSTALLED = "[nectar.handlers]\nmy-handler = my_handler:analyze\n[nectar.plugins]\nmy-handler = hooks\n"
"""What an installation says of the project's entry points."""
OTHERS = [page for page in pages.PAGES if {"python", "toml", "json"} & languages(page)]
ANSWERS = """
import importlib, pathlib
from nectar.api.decorator import is_handler
from nectar.testing import ask
for file in pathlib.Path().glob("*.py"):
    for value in vars(importlib.import_module(file.stem)).values():
        if is_handler(value) and "# /// script" not in file.read_text():  # which wants an environment of its own
            ask(value)
"""
LAUNCHES = "test_as_launched.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for page in PAGES:
        write_files(page, tmp_path)
    (tmp_path / "computations").mkdir()
    for number, code in enumerate(blocks("docs/testing.md", "json")):
        (tmp_path / "computations" / f"{number}.json").write_text(code, encoding="utf-8")
    installed = tmp_path / "my_handler-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-handler\nVersion: 0.1.0\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text(INSTALLED, encoding="utf-8")
    return tmp_path


def write_files(page: str, folder: Path) -> None:
    for name, code in files(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code, encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_all_python_on_a_page_is_in_files(page: str) -> None:
    assert len([name for name in files(page) if name.endswith(".py")]) == len(blocks(page, "python"))


def test_the_tests_on_the_page_pass(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    # With the same executor, tests/test_executor_contract.py goes through all clauses.
    command += [str(folder), f"--ignore={folder / LAUNCHES}", "-k", "not test_the_executor or every_keyword"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "7 passed, 14 deselected" in ended.stdout


def test_every_other_file_is_a_module_whose_handlers_answer(folder: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", ANSWERS], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.uv
@pytest.mark.once
def test_the_tests_of_what_is_launched_pass(tmp_path: Path) -> None:
    found = {name: code for page in PAGES for name, code in files(page).items()}
    for name, text in {
        "pyproject.toml": found["pyproject.toml"].replace('"numpy"', ""),
        "src/my_handler/__init__.py": found["my_handler.py"],
        f"tests/{LAUNCHES}": found[LAUNCHES],
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


@pytest.mark.uv
@pytest.mark.parametrize("page", [page for page in PAGES if "console" in languages(page)])
def test_a_page_prints_what_it_shows(world: World, page: str) -> None:
    home = world.directory / "you"
    for before in ("docs/handler.md", page):  # which every page goes on from
        write_files(before, home)
    if (home / "pyproject.toml").exists():
        package = home / "src" / "my_handler"
        package.mkdir(parents=True)
        (home / "my_handler.py").rename(package / "__init__.py")
    (home / ".bee-hive").symlink_to(world.home.data_dir)
    check_sessions(blocks(page, "console"), home=home, folder=home)


@pytest.mark.parametrize("page", OTHERS)
def test_what_is_no_file_can_be_read(page: str) -> None:
    for code in blocks(page, "python"):
        compile(code, page, "exec")
    for code in blocks(page, "toml"):
        tomllib.loads(code)
    for code in blocks(page, "json"):
        json.loads(code)


@pytest.mark.uv
@pytest.mark.once
def test_a_file_that_git_ignores_and_the_page_names_goes_along(world: World) -> None:
    project = world.project("my_handler")
    (named,) = blocks("docs/environments.md", "toml")
    with (project / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write(named)
    (project / "src" / "my_handler" / "_generated.py").write_text("ANSWER = 7\n", encoding="utf-8")
    code = (
        "from my_handler._generated import ANSWER\nfrom nectar import handler\n\n@handler\ndef answer(comp):\n    return ANSWER\n"
    )
    (project / "src" / "my_handler" / "__init__.py").write_text(code, encoding="utf-8")
    (project / ".gitignore").write_text("_generated.py\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", project], check=True, timeout=60)
    world.run("test", project, "--expect", "7")


def test_the_page_names_every_setting() -> None:
    page = ROOT.joinpath(PAGE).read_text(encoding="utf-8")
    table = page[page.index("## Settings") :]
    for name in Settings.__dataclass_fields__:
        assert f"`{name}`" in table


def test_the_page_names_every_field_of_a_question() -> None:
    page = ROOT.joinpath(PAGE).read_text(encoding="utf-8")
    for name in Computation.__dataclass_fields__:
        assert f"`{name}`" in page


def test_the_api_is_all_that_can_be_imported() -> None:
    page = ROOT.joinpath("docs/api.md").read_text(encoding="utf-8")
    for name in nectar.__all__:
        assert re.search(rf":: {name}\b", page) or f"`nectar.{name}`" in page
    assert ".. automodule:: nectar.testing\n   :members:\n" in page  # which follows its __all__
