"""What ``nectar test`` built goes when it has built the next one, unless something has use for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

import pytest

from nectar.locks import hold
from nectar.manage import gc
from nectar.manage.environment import drift, store, trials
from tests.world import TWICE, until

if TYPE_CHECKING:
    from tests.environments.workbench import Bench
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]


def names_of_frames(thread: threading.Thread) -> list[str]:
    frame = sys._current_frames().get(thread.ident or 0)
    return [each.f_code.co_name for each, _ in traceback.walk_stack(frame)] if frame else []


def environments(world: World) -> set[str]:
    return {path.name for path in world.home.envs.glob("[!.]*")}


def test_it_keeps_one_of_each_source_and_all_that_others_use(fresh: World) -> None:
    def edited(number: int) -> None:
        fresh.file("h.py", TWICE.replace("* 2", f"* {number}"))

    edited(2)
    fresh.run("launch", "h.py", "--python", "3.11")
    launched = environments(fresh)
    fresh.run("test", "h.py", "--python", "3.11")
    assert environments(fresh) == launched, "it is the one that launch has built"
    edited(3)
    fresh.run("test", "h.py", "--python", "3.11")
    (first,) = environments(fresh) - launched
    fresh.file("other.py")
    fresh.run("test", "other.py")
    (other,) = environments(fresh) - launched - {first}
    fresh.run("restart", "h")  # uses what the trial has built, for good
    fresh.run("remove", "h", "--stop")
    edited(4)
    fresh.run("test", "h.py", "--python", "3.11")
    (second,) = environments(fresh) - launched - {first, other}
    edited(5)
    broken = fresh.file("h.py", "raise ValueError\n")
    fresh.run("test", broken, "--python", "3.11", code=1)
    (third,) = environments(fresh) - launched - {first, other}
    assert third != second, "one that cannot be loaded takes the place of the one before, too"
    assert {path.name for path in fresh.home.trials.iterdir()} == {other, third}
    assert not list(fresh.home.env_locks.glob(f"{second}*"))
    assert "3 removed" not in fresh.run("gc").stdout
    assert environments(fresh) == set()
    assert not list(fresh.home.trials.iterdir())


def test_what_runs_or_is_about_to_is_left_and_goes_with_the_next(bench: Bench) -> None:
    project = bench.project()

    def tried(answer: int) -> str:
        (project / "src" / "demo" / "__init__.py").write_text(f"def answer(c): return {answer}\n")
        begun = time.time()
        with store.use(bench.home, bench.open(project), report=bench.said.append, trial=True) as built:
            gc.drop_trials(bench.home, bench.open(project), but=built.key, before=begun)
        return built.key

    running = tried(1)
    python = bench.home.envs / running / "bin" / "python"
    with subprocess.Popen(
        [python, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        launching = tried(2)
        with drift.keep_in_use(bench.home, launching):
            last = tried(3)
            assert bench.built() == sorted([running, launching, last])
        process.communicate(b"\n", timeout=60)
    # Of a build that was killed the mark alone is left.
    trials.mark(bench.home, "killed", bench.open(project))
    newest = tried(4)
    assert bench.built() == [newest]
    assert [path.name for path in bench.home.trials.iterdir()] == [newest]
    bench.home.registry.write_text("{ broken")
    assert bench.built() == [newest] != [tried(5)], "what is used cannot be told"
    assert newest in bench.built()


def test_one_that_goes_between_its_look_and_its_use_is_built_again(bench: Bench) -> None:
    project = bench.project()
    key = bench.provide(project).key
    used: list[float] = []

    def use() -> None:
        with store.use(bench.home, bench.open(project), report=bench.said.append) as built:
            used.append(built.marker.created)

    with hold(bench.home.env_locks / f"{key}.use"):
        thread = threading.Thread(target=use)
        thread.start()
        until(lambda: "keep_in_use" in names_of_frames(thread), "it has found one, and waits")
        gone = time.time()
        shutil.rmtree(bench.home.envs / key)
    thread.join(60)
    assert used[0] > gone


def test_twenty_at_once_of_one_source_that_is_edited_meanwhile(fresh: World) -> None:
    """Whatever is removed, each finds or builds the environment of what the source is when it looks."""

    def edit(number: int) -> None:
        """As editors do: never is there less than all of it."""
        fresh.file("h.new", TWICE.replace("* 2", f"* {number}")).rename(fresh.directory / "h.py")

    edit(2)
    words = [["launch", "h.py", f"h{number}"] if number % 4 == 3 else ["test", "h.py"] for number in range(20)]
    begun = [fresh.fork(*each) for each in words]
    for number, process in enumerate(begun):
        edit(number // 3 % 3 + 2)
        assert process.wait(120) == 0, words[number]
    fresh.run("test", "h.py")
    records = {record["environment"] for record in fresh.registry().values()}
    assert len(records) <= 3
    assert records <= environments(fresh)
    marked = {path.name for path in fresh.home.trials.iterdir()}
    assert len(marked) <= 1
    assert environments(fresh) == records | marked
    assert not records & marked
