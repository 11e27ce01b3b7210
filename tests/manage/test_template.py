"""The template: a project that is one, under other names."""

from __future__ import annotations

import ast
import tomllib
from typing import TYPE_CHECKING

import pytest

from nectar.errors import ConflictError, NectarError, UsageError
from nectar.manage.new import Wanted, _joining, new_project, new_script

if TYPE_CHECKING:
    from pathlib import Path


def test_every_file_has_the_new_names_and_python_can_be_parsed(tmp_path: Path) -> None:
    made = new_project(tmp_path / "Score-words", Wanted())
    for path in made.rglob("*"):
        assert "my_handler" not in path.name
        if path.is_file():
            text = path.read_text()
            assert "my_handler" not in text
            assert "my-handler" not in text
            if path.suffix == ".py":
                ast.parse(text)
    table = tomllib.loads((made / "pyproject.toml").read_text())
    assert table["project"]["name"] == "score-words"
    assert (made / "src" / "score_words" / "__init__.py").is_file()
    assert (made / ".gitignore").is_file()


def test_nothing_is_left_when_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NectarError):
        new_project(tmp_path / "file" / "project", Wanted())
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConflictError):
        new_project(tmp_path / "link", Wanted())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


@pytest.mark.parametrize("description", ['say "hi"', "back\\slash", '"""', "ends with \\"])
def test_a_script_with_any_description_is_python(tmp_path: Path, description: str) -> None:
    made = new_script(tmp_path / "one", Wanted(description=description, python="3.12"))
    text = made.read_text()
    ast.parse(text)
    assert made.name == "one.py"
    assert '# requires-python = ">=3.12"' in text


@pytest.mark.parametrize("python", ["3.10", "2.7", "3", "newest", "3.12.1"])
def test_a_python_that_cannot_be(tmp_path: Path, python: str) -> None:
    with pytest.raises(UsageError):
        new_project(tmp_path / "x", Wanted(python=python))


def test_a_workspace_is_as_it_was_when_the_project_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.uv.workspace]\nmembers = []\n")
    with pytest.raises(OSError, match="full: True"), _joining(tmp_path / "one", "one", report=lambda _line: None):
        raise OSError(f"full: {'one' in file.read_text()}")
    assert file.read_text() == "[tool.uv.workspace]\nmembers = []\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]
