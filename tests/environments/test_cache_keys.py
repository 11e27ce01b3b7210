"""What ``tool.uv.cache-keys`` brings into a build, and what it does not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.source import cache_keys, package, workspace
from nectar.manage.source.pyproject import Project, open_project
from nectar.manage.tree import searching
from tests.environments.workbench import Bench, write


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "1" / "project"
    for name in ("a.txt", "x/b.txt", "x/y/c.txt", "x/y/d.md", "real/e.txt", ".git/HEAD", "node_modules/f.txt", "env/pyvenv.cfg"):
        write(place / name, f"{name}\n")
    write(tmp_path / "outside.txt", "outside\n")
    (place / "link").symlink_to("real")
    (place / "away").symlink_to("../..")
    (place / "kernel").symlink_to("/proc/self")
    os.mkfifo(place / "pipe")
    return place


def files(directory: Path, *keys: Any) -> tuple[list[str], list[str]]:
    return cache_keys.find_files(Project(directory, {"tool": {"uv": {"cache-keys": list(keys)}}}))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.txt", ["a.txt"]),
        ("./a.txt", ["a.txt"]),
        ("x/../a.txt", ["a.txt"]),
        ("*.txt", ["a.txt"]),
        ("**/*.txt", ["a.txt", "real/e.txt", "x/b.txt", "x/y/c.txt"]),
        ("**/**/**/c.txt", ["x/y/c.txt"]),
        ("x/**", ["x/b.txt", "x/y/c.txt", "x/y/d.md"]),
        ("x/**/*.md", ["x/y/d.md"]),
        ("x/*/c.*", ["x/y/c.txt"]),
        ("[ax].txt", ["a.txt"]),
        ("link/*.txt", []),
        ("away/**/*.txt", []),
        ("kernel/**", []),
        ("kernel/environ", []),
        ("x/../../../**/*", []),
        (".", []),
        ("..", []),
        ("x", []),
        ("pipe", []),
        ("", []),
        ("/etc/passwd", []),
        ("/**", []),
        ("a\0b", []),
        ("n" * 5000, []),
        ("*/" * 5000, []),
        ("a/" * 5000 + "b", []),
        ("[", []),
        ("***", ["a.txt"]),
    ],
)
def test_the_files_that_a_pattern_names(directory: Path, pattern: str, names: list[str]) -> None:
    assert files(directory, {"file": pattern}) == (names, [])
    assert files(directory, pattern) == (names, [])


@pytest.mark.parametrize(
    "pattern", ["../../outside.txt", "x/../../../outside.txt", "../../1/../outside.txt", ".git/HEAD", ".git/H*"]
)
def test_a_file_that_no_copy_holds_counts_by_its_digest(directory: Path, pattern: str) -> None:
    names, lines = files(directory, {"file": pattern})
    assert names == []
    assert lines[0].startswith(f"file {pattern} ")
    write(directory / ".git" / "HEAD", "another\n")
    write(directory.parent.parent / "outside.txt", "another\n")
    assert files(directory, {"file": pattern})[1] != lines


@pytest.mark.parametrize(
    "key", [None, 1, [], {}, {"file": 1}, {"file": ["a.txt"]}, {"dir": "x\0"}, {"dir": "d" * 5000}, {"env": ""}]
)
def test_a_key_of_an_odd_kind(directory: Path, key: Any) -> None:
    assert files(directory, key) == ([], [])
    cache_keys.read_values(Project(directory, {"tool": {"uv": {"cache-keys": [key]}}}))


def test_a_pattern_over_too_many_files(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT", 5)
    assert files(directory, {"file": "x/*.txt"})[0] == ["x/b.txt"]
    for pattern in ("**/*", "**/a/**/b/**/c"):
        with pytest.raises(EnvironmentFailedError, match="More than 5 files"):
            files(directory, {"file": pattern})


def test_members_of_a_workspace_are_looked_for_in_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "space/packages/one",
        "space/packages/two",
        "space/packages/.hidden",
        "beside",
        "elsewhere/three",
        "space/node_modules/x",
    ):
        write(tmp_path / name / "pyproject.toml", f'[project]\nname = "{Path(name).name.strip(".")}"\n')
    (tmp_path / "space" / "linked").symlink_to("../elsewhere")
    (tmp_path / "space" / "packages" / "link").symlink_to("../../beside")

    def members(*patterns: str) -> set[str]:
        listed = ", ".join(repr(pattern) for pattern in patterns)
        write(tmp_path / "space" / "pyproject.toml", f"[tool.uv.workspace]\nmembers = [{listed}]\n")
        found = workspace.find(open_project(tmp_path / "space"))
        assert found
        return {str(each.relative_to(tmp_path)) for each in found.members}

    assert members("packages/*") == {"space/packages/one", "space/packages/two", "beside"}
    assert members("./packages/one/") == {"space/packages/one"}
    assert members("packages/t*", "../beside") == {"space/packages/two", "beside"}
    assert members("linked/*") == {"elsewhere/three"}
    assert members("**/*") == {"space/packages/one", "space/packages/two", "beside"}
    assert members("a\0b", "/*", "n" * 5000, "*/" * 5000) == set()
    monkeypatch.setattr(searching, "LOOKED_AT", 5)
    with pytest.raises(EnvironmentFailedError, match="More than 5 files"):
        members("../../**")


def test_a_key_is_taken_where_it_really_lies(bench: Bench) -> None:
    write(bench.directory / "secret", "secret\n")
    place = bench.project(
        more='[tool.uv]\ncache-keys = [{file = "link/made.txt"}, {file = "away/secret"}, {file = "key"}, {file = "made"}]\n'
    )
    write(place / ".gitignore", "real/\nlink\naway\nkey\nmade\n")
    write(place / "real" / "made.txt", "made\n")
    for name, target in (("link", "real"), ("away", ".."), ("key", "../secret"), ("made", "real/made.txt")):
        (place / name).symlink_to(target)
    subprocess.run(["git", "init", "-q", place], check=True)
    made = package.plan(place, python=None, but=())
    names = {name: piece.read() for name, piece in made.tree.pieces.items() if piece.link is None}
    assert names["real/made.txt"] == b"made\n"
    assert b"secret\n" not in names.values()
    assert any(str(place / "key") in line for line in made.tree.left_out)
