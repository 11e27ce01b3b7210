"""What other accounts put above a project, or beside a single file: it counts only where they may have a say."""

from __future__ import annotations

import os

import pytest

from tests.environments.workbench import STRANGER, Bench, as_root, write

pytestmark = as_root


@pytest.mark.parametrize("owner", [0, STRANGER])
def test_a_stranger_s_files_above_do_not_count(bench: Bench, owner: int) -> None:
    project = bench.project(at="shared/demo")
    file = bench.file("shared/mine.py", "")
    settings = write(bench.directory / "shared" / "uv.toml", 'exclude-newer = "2020-06-01T00:00:00Z"\n')
    root = write(bench.directory / "shared" / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["demo"]\n')
    wish = write(bench.directory / "shared" / ".python-version", "3.12\n")
    for path in (settings, root, wish):
        os.chown(path, owner, owner)
    counts = owner != STRANGER
    plan = bench.open(project).plan()
    assert (plan.project == "demo") is counts
    assert (plan.asked.python.wanted == "3.12") is counts
    root.unlink()
    assert bench.open(project).plan().asked.settings == (settings if counts else None)
    plan = bench.open(file).plan()
    assert plan.asked.settings == (settings if counts else None)
    assert (plan.asked.python.wanted == "3.12") is counts
    # A source of another account is legitimate, and its owner's settings are its own.
    for path in (project, file):
        os.chown(path, STRANGER, STRANGER)
        assert bench.open(path).plan().asked.settings == settings


@pytest.mark.parametrize("mode", [0o775, 0o1777])
def test_what_a_stranger_put_beside_a_file_where_anybody_may_is_left_out(bench: Bench, mode: int) -> None:
    file = bench.file("shared/mine.py", "import ours, theirs, package, mixed.theirs\n")
    write(file.with_name("ours.py"), "")
    theirs = [write(file.parent / name, "") for name in ("theirs.py", "package/__init__.py", "mixed/theirs.py", "mine.py.lock")]
    for path in (*theirs, file.parent / "package"):
        os.chown(path, STRANGER, STRANGER)
    (file.parent / "mixed").chmod(mode)
    file.parent.chmod(mode)
    plan = bench.open(file).plan()
    named = {path for path in theirs if any(str(path) in line for line in plan.tree.left_out)}
    assert named == (set(theirs) if mode & 0o002 else set())
    assert any(name.endswith("modules/ours.py") for name in plan.tree.pieces)
    assert any(name.endswith(("/theirs.py", "package/__init__.py", ".lock")) for name in plan.tree.pieces) is not bool(named)


def test_a_link_of_a_stranger_s_does_not_count(bench: Bench) -> None:
    project = bench.project(at="shared/demo")
    ours = bench.file("ours.toml", 'resolution = "lowest"\n')
    link = bench.directory / "shared" / "uv.toml"
    link.symlink_to(ours)
    assert bench.open(project).plan().asked.settings == link
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    assert bench.open(project).plan().asked.settings is None
