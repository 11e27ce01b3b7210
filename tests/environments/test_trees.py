"""Which files of a directory are source."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.tree import git as manage_git
from nectar.manage.tree import trees
from nectar.manage.tree.bounds import Bounds
from tests import needs
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
    git(tmp_path, "init", "-q")  # so that all of this is one checkout
    write(tmp_path / "outside.txt", "from elsewhere\n")
    write(tmp_path / "elsewhere" / "deep" / "x.txt", "x\n")
    (tmp_path / "elsewhere" / "short").symlink_to("deep/x.txt")
    (tmp_path / "elsewhere" / "away").symlink_to("../outside.txt")
    (directory / "inside").symlink_to("data/words.txt")
    (directory / "out").symlink_to("../outside.txt")
    (directory / "directory").symlink_to(tmp_path / "elsewhere")
    (directory / "loop").symlink_to(tmp_path)
    (directory / "nowhere").symlink_to("not-there")
    os.mkfifo(directory / "pipe")
    found = trees.read(directory)
    assert found.links == {"inside": "data/words.txt", "nowhere": "not-there", "directory/short": "deep/x.txt"}
    assert found.files["out"].read_text() == "from elsewhere\n"
    assert "directory/deep/x.txt" in found.files
    assert "pipe" not in found.files
    assert not any(name.startswith("loop/") for name in found.files)
    assert [line.split(" leads ")[0] for line in found.left_out] == [
        f"Left out: {tmp_path / 'elsewhere' / 'away'}",
        f"Left out: {directory / 'loop'}",
    ]


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("data/words.txt", True),
        ("./data/../data//words.txt", True),
        ("not/there", True),
        ("second", True),
        ("data/up", True),  # a link to a link, by way of a directory
        ("../project/data/words.txt", False),  # out, and in again by the directory's own name
        ("data/../../project/data", False),
        ("second/../../project", False),
        ("comes-back", False),
        ("comes-back/words.txt", False),
        ("absolute", False),
        ("{directory}/data", False),
        (".", False),
        ("..", False),
        ("data/..", False),
        ("itself", False),
        ("/proc/self/environ", False),
    ],
)
def test_only_a_link_that_stays_inside_is_kept(directory: Path, target: str, kept: bool) -> None:
    (directory / "second").symlink_to("data")
    (directory / "data" / "up").symlink_to("../src")
    (directory / "comes-back").symlink_to("../project/data")
    (directory / "absolute").symlink_to(directory / "data")
    (directory / "itself").symlink_to(target.format(directory=directory))
    assert ("itself" in trees.read(directory).links) is kept


SECRET = "a secret\n"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/proc/self/environ", "no file on a disk"),
        ("/proc/self", "no file on a disk"),
        ("/sys/kernel", "no file on a disk"),
        ("/proc", "no file on a disk"),
        ("/dev/zero", "neither a file nor a directory"),
        ("../pipe", "neither a file nor a directory"),
        ("../../secret", "outside the project"),
        ("../../home", "outside the project"),
        ("../../nowhere", "not there"),
        ("..", "lies in"),
        ("../other/../../secret", "outside the project"),
        ("round", "neither a file nor a directory"),
    ],
)
@needs.kernel_files
def test_a_link_that_leads_to_what_is_nobody_s_source_is_left_out(directory: Path, tmp_path: Path, target: str, why: str) -> None:
    git(tmp_path, "init", "-q", "checkout")
    place = directory.rename(tmp_path / "checkout" / "project")
    write(tmp_path / "secret", SECRET)
    write(tmp_path / "home" / "secret", SECRET)
    write(tmp_path / "checkout" / "other" / "x", "x\n")
    os.mkfifo(tmp_path / "checkout" / "pipe")
    (place / "round").symlink_to("src/around")
    (place / "src" / "around").symlink_to("../round")
    (place / "src" / "demo" / "env.txt").symlink_to(os.path.relpath(place / target, place / "src" / "demo"))
    found = trees.read(place)
    assert not any(name.startswith("src/demo/env.txt") for name in [*found.files, *found.links])
    line = next(line for line in found.left_out if "env.txt" in line)
    assert why in line
    assert "the handler runs in the project's directory" in line


def test_what_holds_the_whole_home_is_no_checkout(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path / ".ssh" / "id", SECRET)
    (directory / "key").symlink_to("../.ssh/id")
    assert "key" in trees.read(directory).files
    monkeypatch.setenv("HOME", str(tmp_path))
    for base in (None, tmp_path, tmp_path.parent, Path("/")):
        assert "key" not in trees.read(directory, bounds=Bounds(directory, base)).files


@pytest.mark.skipif(os.geteuid() != 0, reason="files of another user are made by root")
def test_what_belongs_to_a_third_user_is_left_out(directory: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name, owner in (("authors", 54321), ("third", 54322)):
        os.chown(write(tmp_path / name, "x\n"), owner, owner)
        (directory / name).symlink_to(f"../{name}")
    assert not {"authors", "third"} & set(trees.read(directory).files)
    os.chown(directory, 54321, 54321)
    found = trees.read(directory)
    assert "authors" in found.files
    assert "third" not in found.files
    assert "belongs to another user" in found.left_out[0]


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "", ".", "a//x", "src/./x", ".git/config", "a/.GIT/config", "a/" * 300]
)
def test_a_name_that_no_copy_can_have_is_not_taken(directory: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git(directory, "init", "-q")
    monkeypatch.setattr(manage_git.Repository, "names", lambda *_: (["pyproject.toml", name], []))
    found = trees.read(directory)
    assert set(found.files) == {"pyproject.toml"}
    assert repr(name) in found.left_out[0]


def test_what_git_lists_below_a_link_is_not_taken(directory: Path, tmp_path: Path) -> None:
    git(directory, "init", "-q")
    write(directory / "moved" / "x.txt", "x\n")
    git(directory, "add", "-A")
    write(tmp_path / "elsewhere" / "x.txt", SECRET)
    (directory / "moved" / "x.txt").unlink()
    (directory / "moved").rmdir()
    (directory / "moved").symlink_to("../elsewhere")
    assert not any(name.startswith("moved") for name in trees.read(directory).files)


@pytest.fixture
def bottomless(directory: Path) -> Iterator[Path]:
    """A directory in it that is deeper than Python calls itself, taken away by what does not call itself either."""
    top = directory / "deep"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("x.py", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    yield top
    subprocess.run(["rm", "-rf", top], check=True)


def test_a_directory_without_end_is_walked_to_none(directory: Path, bottomless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bottomless.is_dir()
    found = trees.read(directory)
    assert set(found.files) == SOURCE
    assert "x.py" in found.left_out[0]
    monkeypatch.setattr(trees, "FILES", 20)
    with pytest.raises(EnvironmentFailedError, match="More than 20 files"):
        trees.read(directory)


def test_the_data_dir_is_no_source(directory: Path) -> None:
    write(directory / "sandbox" / "nectar" / "handlers.json", "{}")
    write(directory / "sandbox" / "alice" / "data" / "computation" / "x.pending", "{}")
    assert set(trees.read(directory, but=(directory / "sandbox", directory / "sandbox" / "nectar")).files) == SOURCE
    assert set(trees.read(directory, but=(directory, directory.parent, directory / "sandbox")).files) == SOURCE


def test_the_data_dir_is_no_source_by_way_of_a_link_either(directory: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path / "sandbox" / "nectar" / "handlers" / "other.env", SECRET)
    write(tmp_path / "sandbox" / "notes.txt", "x\n")
    (directory / "sandbox").symlink_to("../sandbox")
    (directory / "env").rename(directory / "old")
    (directory / "env").symlink_to("../sandbox/nectar/handlers/other.env")
    found = trees.read(directory, but=(tmp_path / "sandbox" / "nectar",)).files
    assert {name for name, path in found.items() if "sandbox" in str(path)} == {"sandbox/notes.txt"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_directory_that_cannot_be_read_is_left_out(directory: Path) -> None:
    write(directory / "closed" / "x.txt", "x\n")
    (directory / "closed").chmod(0)
    found = trees.read(directory)
    (directory / "closed").chmod(0o700)
    assert set(found.files) == SOURCE
    assert found.left_out == [f"Left out: {directory}/closed/, which cannot be read."]
