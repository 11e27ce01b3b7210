"""Which files of a directory are source."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nectar.manage import trees
from tests.environments.workbench import write


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    for name in (
        "pyproject.toml",
        "src/demo/__init__.py",
        "data/words.txt",
        "build/lib/demo/old.py",
        "demo.egg-info/PKG-INFO",
        "notes~",
    ):
        write(place / name, "x\n")
    for name in ("src/demo/__pycache__/x.pyc", ".venv/pyvenv.cfg", "env/pyvenv.cfg", "env/lib/x.py", "node_modules/x.js", ".nox/x"):
        write(place / name, "x\n")
    return place


SOURCE = {"pyproject.toml", "src/demo/__init__.py", "data/words.txt"}


def git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(directory), *arguments], check=True)


def test_without_git(directory: Path) -> None:
    assert set(trees.read(directory).files) == SOURCE


def test_what_git_would_list(directory: Path) -> None:
    write(directory / ".gitignore", "data/\nuv.lock\n*.so\nenv/\n")
    write(directory / "uv.lock", "kept although ignored\n")
    write(directory / "src" / "demo" / "x.so", "ignored\n")
    write(directory / "tracked" / "build" / "x.txt", "x\n")
    git(directory, "init", "-q")
    assert set(trees.read(directory).files) == {
        "pyproject.toml",
        "src/demo/__init__.py",
        "uv.lock",
        ".gitignore",
        "tracked/build/x.txt",
    }
    git(directory, "add", "-f", "data/words.txt", "src")
    (directory / "src" / "demo" / "gone.py").unlink(missing_ok=True)
    write(directory / "src" / "demo" / "new.py", "not yet added\n")
    found = set(trees.read(directory).files)
    assert {"data/words.txt", "src/demo/new.py", "src/demo/x.so"} <= found
    git(directory, "commit", "-qm", "one")
    (directory / "data" / "words.txt").unlink()
    assert "data/words.txt" not in trees.read(directory).files


def test_a_project_in_a_directory_that_git_ignores(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "sandbox/\n")
    git(tmp_path, "init", "-q")
    write(tmp_path / "sandbox" / "pyproject.toml", "x\n")
    assert set(trees.read(tmp_path / "sandbox").files) == {"pyproject.toml"}


def test_a_hook_s_variables_do_not_lead_git_astray(directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert set(trees.read(directory).files) == SOURCE


def test_links(directory: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.txt", "from elsewhere\n")
    write(tmp_path / "elsewhere" / "deep" / "x.txt", "x\n")
    (directory / "inside").symlink_to("data/words.txt")
    (directory / "out").symlink_to("../outside.txt")
    (directory / "directory").symlink_to(tmp_path / "elsewhere")
    (directory / "loop").symlink_to(tmp_path)
    (directory / "nowhere").symlink_to("not-there")
    os.mkfifo(directory / "pipe")
    found = trees.read(directory)
    assert found.links == {"inside": "data/words.txt", "nowhere": "not-there"}
    assert found.files["out"].read_text() == "from elsewhere\n"
    assert "directory/deep/x.txt" in found.files
    assert "pipe" not in found.files
    assert not any(name.startswith("loop/") for name in found.files)


def test_the_data_dir_is_no_source(directory: Path) -> None:
    write(directory / "sandbox" / "nectar" / "handlers.json", "{}")
    write(directory / "sandbox" / "alice" / "data" / "computation" / "x.pending", "{}")
    assert set(trees.read(directory, but=(directory / "sandbox", directory / "sandbox" / "nectar")).files) == SOURCE
    assert set(trees.read(directory, but=(directory, directory.parent, directory / "sandbox")).files) == SOURCE
