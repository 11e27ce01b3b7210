"""``nectar test --watch``: again at each change, whatever is broken meanwhile."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from nectar.manage.source.source import open_source
from nectar.manage.watching import Changed, Watch
from tests.world import TWICE, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.environments.workbench import Bench
    from tests.world import World

HANGS = """
    import time
    from nectar import handler

    @handler
    def hangs(comp):
        print("it hangs")
        time.sleep(600)
"""


@pytest.mark.uv
@pytest.mark.once
def test_again_at_each_change_until_an_interrupt(world: World) -> None:
    file = world.file("watched.py", TWICE.replace("* 2", "* 11"))
    said = world.directory / "said"
    with said.open("wb") as stream:
        process = world.fork("test", "watched.py", "--watch", stdout=stream.fileno(), stderr=stream.fileno())
    seen = 0

    def wait_for(text: str) -> None:
        nonlocal seen
        until(lambda: text in said.read_text()[seen:], text)
        seen = said.read_text().index(text, seen) + len(text)

    wait_for("✅ Result: 462")
    wait_for("👀 Watching watched.py, until Ctrl-C.")
    world.file("aside", TWICE.replace("* 2", "* 12")).rename(file)
    wait_for("✅ Result: 504")
    wait_for("👀")
    world.file("watched.py", "def (")
    wait_for("SyntaxError")
    wait_for("👀")
    world.file("watched.py", "#/// script\n# dependencies = []\n# ///\n")
    wait_for("❌")
    wait_for("👀")
    file.unlink()
    wait_for("There is nothing at this path")
    wait_for("👀")
    world.file("watched.py", HANGS)
    wait_for("it hangs")
    world.file("watched.py", TWICE.replace("* 2", "* 11"))
    wait_for("watched.py has changed: once more.")
    wait_for("✅ Result: 462")
    wait_for("👀")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert len(list(world.home.trials.iterdir())) <= 1


def test_what_cannot_be_watched(world: World) -> None:
    world.run("test", "absent.py", "--watch", code=3)
    assert "--watch" in world.run("test", world.file("h.py"), "--watch", "--computation", "-", code=2).stderr


def test_what_is_a_change_of_a_project(bench: Bench) -> None:
    project = bench.project()
    module = project / "src" / "demo" / "__init__.py"
    computations = bench.file("computations/one.json", "{}").parent
    watch = Watch(bench.home, project, lambda: open_source(project), [computations, bench.directory / "variables"])

    def is_told(change: str, act: Callable[[], object]) -> None:
        watch.begin()
        assert not changed(watch), "before"
        act()
        assert changed(watch), change
        watch.settle()

    is_told("another content", lambda: module.write_text("def answer(c): return 22\n"))
    is_told("another file in its place", lambda: bench.file("aside", "x").rename(module))
    is_told("a new module", lambda: bench.file("demo/src/demo/new/more.py", ""))
    is_told("a renamed directory", lambda: (project / "src" / "demo" / "new").rename(project / "src" / "demo" / "newer"))
    is_told("a computation", lambda: bench.file("computations/two.json", "{}"))
    is_told("a file that was not there", lambda: bench.file("variables", "A=1"))
    is_told("a broken project", lambda: bench.file("demo/pyproject.toml", "[broken"))
    is_told("one that is whole again", bench.project)
    is_told("one that is gone", lambda: project.rename(project.with_name("gone")))
    is_told("and back", lambda: project.with_name("gone").rename(project))
    watch.begin()
    for name in (".venv/lib/module.py", "src/demo/__pycache__/demo.pyc", "dist/demo.whl"):
        bench.file(f"demo/{name}", "")
    assert not changed(watch)


def changed(watch: Watch) -> bool:
    """Whether it tells of a change when it looks once, and not where somebody has just done so."""
    watch._next = time.monotonic() + 600
    watch.look()
    watch._next = 0.0
    try:
        watch.look()
    except Changed:
        return True
    return False


def test_files_beside_a_single_one_are_watched_where_it_imports_them(bench: Bench) -> None:
    file, beside = bench.file("h.py", "import beside\n"), bench.file("beside.py", "")
    bench.file("stranger.py", "")
    watch = Watch(bench.home, file, lambda: open_source(file))
    watch.begin()
    bench.file("stranger.py", "other")
    bench.file("notes.txt", "")
    assert not changed(watch)
    beside.write_text("value = 1")
    assert changed(watch)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    from tests.environments.workbench import Bench

    return Bench(tmp_path)
