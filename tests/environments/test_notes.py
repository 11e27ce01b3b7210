"""Which of an environment's files have been changed since it was built, and what does not count."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar.manage.environment import notes
from nectar.manage.environment.marker import NOTES
from tests.environments.workbench import write

CODE = "lib/python3.11/site-packages/demo/__init__.py"
SCRIPT = "bin/demo"
PYTHON = "bin/python"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Files as an environment has them, with notes."""
    made = tmp_path / "envs" / "0123456789abcdef0123"
    write(made / CODE, "one = 1\n")
    write(made / SCRIPT, "#!/bin/sh\n").chmod(0o755)
    (made / PYTHON).symlink_to("/usr/bin/python3")
    (made / "lib64").symlink_to("lib")
    write(made / "lib/python3.11/site-packages/demo/__pycache__/__init__.cpython-311.pyc", "")
    write(made / "pyvenv.cfg", "home = /usr/bin\n")
    notes.write(made, notes.take(made))
    assert notes.find_changed(made) == []
    return made


def replaced(path: Path, by: Callable[[Path], None]) -> None:
    path.unlink()
    by(path)


def edited_in_secret(path: Path) -> None:
    """Of the same size, and as old as it was."""
    before = path.stat()
    path.write_text("two = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def moved_to_another_disk(venv: Path) -> None:
    shutil.copytree(venv, venv.with_name("copy"), symlinks=True)
    shutil.rmtree(venv)
    venv.with_name("copy").rename(venv)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (CODE, edited_in_secret),
        (CODE, lambda path: path.write_text("one = 1 \n")),
        (CODE, Path.unlink),
        (CODE, lambda path: replaced(path, lambda gone: gone.symlink_to("/dev/zero"))),
        (CODE, lambda path: replaced(path, os.mkfifo)),
        (CODE, lambda path: replaced(path, Path.mkdir)),
        (CODE, lambda path: os.truncate(path, 1 << 42)),
        (SCRIPT, lambda path: path.write_text("#!/bin/ls\n")),
        (PYTHON, lambda path: replaced(path, lambda gone: gone.symlink_to("/usr/bin/python4"))),
        ("lib64", lambda path: replaced(path, lambda gone: gone.symlink_to("bin"))),
        ("pyvenv.cfg", lambda path: path.write_text("home = /usr/bit\n")),
        (NOTES, Path.unlink),
        (NOTES, lambda path: path.write_text("{")),
        (NOTES, lambda path: path.write_text('{"schema": 1, "files": {"a": 1}}')),
        (NOTES, lambda path: path.write_text("[" * 100_000)),
        (NOTES, lambda path: os.truncate(path, 1 << 42)),
        (NOTES, lambda path: replaced(path, os.mkfifo)),
        (NOTES, lambda path: replaced(path, lambda gone: gone.symlink_to("/dev/zero"))),
    ],
)
def test_what_is_a_change(venv: Path, path: str, change: Callable[[Path], None]) -> None:
    change(venv / path)
    assert notes.find_changed(venv) == [path]
    assert notes.find_changed(venv) == [path], "a look renews no notes of what was changed"


@pytest.mark.parametrize(
    "change",
    [
        lambda venv: (venv / SCRIPT).chmod(0o700),
        lambda venv: (venv / CODE).touch(),
        lambda venv: os.utime(venv / CODE, (0, 0)),
        lambda venv: os.link(venv / CODE, venv / "another name"),
        lambda venv: (venv / CODE).write_text("one = 1\n"),
        lambda venv: write(venv / "lib/python3.11/site-packages/added.py", ""),
        lambda venv: shutil.rmtree(venv / "lib/python3.11/site-packages/demo/__pycache__"),
        lambda venv: write(venv / "lib/python3.11/site-packages/demo/__pycache__/__init__.cpython-311.pyc", "new"),
        moved_to_another_disk,
    ],
    ids=["chmod", "touch", "old", "link", "the same", "added", "no bytecode", "bytecode", "moved to another disk"],
)
def test_what_is_none(venv: Path, change: Callable[[Path], object]) -> None:
    change(venv)
    assert notes.find_changed(venv) == []
    known = notes._read(venv)
    assert known is not None
    assert {path: note[:4] for path, note in known.items()} == {path: notes._figures((venv / path).lstat()) for path in known}, (
        "renewed"
    )


def test_a_file_that_is_another_one_s_too_becomes_one_of_its_own(venv: Path) -> None:
    cache = venv.parent / "cache.py"
    os.link(venv / CODE, cache)
    notes.write(venv, notes.take(venv))
    cache.write_text("two = 2\n")
    assert (venv / CODE).read_text() == "one = 1\n"
    assert notes.find_changed(venv) == []
    assert sorted(path.name for path in (venv / CODE).parent.iterdir()) == ["__init__.py", "__pycache__"]
