"""The files in the pages for authors, as a reader would write them down."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nectar
from nectar import Computation
from nectar.settings import Settings
from tests.docs.blocks import ROOT, blocks

PAGE = "docs/handler.md"
PAGES = (PAGE, *(f"docs/{name}.md" for name in ("dependencies", "hooks", "loading", "testing")))

INSTALLED = "[nectar.handlers]\nmy-handler = my_handler:analyze\n[nectar.plugins]\nmy-handler = hooks\n"
"""What an installation says of the project's entry points."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for page in PAGES:
        for code in blocks(page, "python"):
            name = code.splitlines()[0].removeprefix("# ")
            (tmp_path / name).write_text(code, encoding="utf-8")
    (project,) = blocks("docs/dependencies.md", "toml")
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    installed = tmp_path / "my_handler-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-handler\nVersion: 0.1.0\n", encoding="utf-8")
    (installed / "entry_points.txt").write_text(INSTALLED, encoding="utf-8")
    return tmp_path


def test_the_tests_on_the_page_pass(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), str(folder)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "5 passed" in ended.stdout


def test_every_other_file_can_be_imported(folder: Path) -> None:
    for file in folder.glob("*.py"):
        ended = subprocess.run([sys.executable, file.name], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr


def test_the_project_on_the_page_is_whole() -> None:
    (text,) = blocks("docs/dependencies.md", "toml")
    project = tomllib.loads(text)
    assert project["project"]["entry-points"]["nectar.handlers"] == {"my-handler": "my_handler:analyze"}
    assert "build-system" in project


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
        assert f":: {name}\n" in page or f"`nectar.{name}`" in page
    assert ".. automodule:: nectar.testing\n   :members:\n" in page  # which follows its __all__
