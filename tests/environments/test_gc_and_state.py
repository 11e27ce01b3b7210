"""What has changed since a launch, and what nothing uses any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError, NectarError
from nectar.manage import gc
from nectar.manage.environment import drift, sidecar
from nectar.manage.environment.generations import Environment
from nectar.manage.handlers import registry
from nectar.manage.handlers.registry import Record
from tests.environments.workbench import Bench, write

pytestmark = pytest.mark.uv


def record(bench: Bench, project: Path, found: Environment) -> Record:
    made = Record(source=bench.open(project).to_mapping(), environment=found.key)
    with registry.change(bench.home) as records:
        records["demo"] = made
    return made


def test_what_has_changed(bench: Bench) -> None:
    project = bench.project(dependencies=("click==7.1.2",))
    known = record(bench, project, bench.provide(project))
    assert drift.find_changes(bench.home, known) == []
    module = project / "src" / "demo" / "__init__.py"
    before = module.read_text()
    write(module, "def answer(c): return 2\n")
    assert drift.find_changes(bench.home, known) == ["source"]
    write(module, before)
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text + "[tool.nectar]\nworkers = 2\n")
    assert drift.find_changes(bench.home, known) == ["settings"]
    write(project / "pyproject.toml", text.replace("7.1.2", "7.1.1"))
    assert drift.find_changes(bench.home, known) == ["project"]
    write(project / "pyproject.toml", text)
    assert drift.find_changes(bench.home, known) == []
    bench.lock(project)
    assert drift.find_changes(bench.home, known) == []  # the same as what was resolved
    write(project / "uv.lock", "# touched\n" + (project / "uv.lock").read_text())
    assert drift.find_changes(bench.home, known) == ["lock"]
    (project / "pyproject.toml").unlink()
    (changed,) = drift.find_changes(bench.home, known)
    assert changed.startswith("source (The directory has no pyproject.toml")


def test_only_what_nothing_uses_goes(bench: Bench) -> None:
    project = bench.project()
    kept = bench.provide(project)
    record(bench, project, kept)
    write(project / "src" / "demo" / "__init__.py", "def answer(c): return 2\n")
    running = bench.provide(project)
    write(project / "src" / "demo" / "__init__.py", "def answer(c): return 3\n")
    launching = bench.provide(project)
    write(project / "src" / "demo" / "__init__.py", "def answer(c): return 4\n")
    unused = bench.provide(project)
    abandoned = bench.home.envs / ".build-abandoned"
    write(abandoned / "venv" / "pyvenv.cfg", "")
    write(abandoned / "lock", "")
    runtime = sidecar.provide_runtime(bench.home, "3.11")
    code = "import sys; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([running.python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    try:
        assert process.stdout is not None and process.stdout.readline()
        with drift.keep_in_use(bench.home, launching.key):
            listed = gc.find_unused(bench.home)
            assert {each.path for each in listed} == {launching.path, unused.path, abandoned}
            removed = gc.collect(bench.home)
        assert {each.path for each in removed} == {unused.path, abandoned}
        assert all(each.size > 0 for each in removed if each.kind == "environment")
        assert bench.built() == sorted(each.key for each in (kept, running, launching))
        assert runtime.is_dir(), "it was made a moment ago"
        assert {each.path for each in gc.collect(bench.home)} == {launching.path}
    finally:
        process.communicate(timeout=60)
    assert {each.path for each in gc.collect(bench.home)} == {running.path}
    assert bench.built() == [kept.key]
    assert drift.check(bench.home, kept.key) == []
    with pytest.raises(EnvironmentFailedError, match="just been removed"), drift.keep_in_use(bench.home, unused.key):
        pass


def test_a_registry_that_cannot_be_read_keeps_everything(bench: Bench) -> None:
    found = bench.provide(bench.project())
    write(bench.home.registry, "{ broken")
    with pytest.raises(NectarError, match="broken"):
        gc.collect(bench.home)
    assert bench.built() == [found.key]


def test_two_at_once_remove_all_of_it_together(bench: Bench) -> None:
    for number in range(12):
        write(bench.home.envs / f"k{number}" / "file", "")
    code = "import sys; from nectar.home import Home; from nectar.manage import gc; print(len(gc.collect(Home.at(sys.argv[1]))))"
    both = [
        subprocess.Popen([sys.executable, "-c", code, bench.home.data_dir], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    counts = [int(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(counts) == 12
    assert bench.built() == []
    assert not list(bench.home.envs.glob(".build-*"))


def test_a_runtime_that_was_wanted_a_moment_ago_stays(bench: Bench) -> None:
    minor = "3.99"  # whatever else runs here at the moment, nothing runs from this one
    runtime = sidecar.provide_runtime(bench.home, minor)
    os.utime(runtime, (0, 0))
    assert [each.path for each in gc.find_unused(bench.home)] == [runtime]
    assert sidecar.provide_runtime(bench.home, minor) == runtime
    assert gc.collect(bench.home) == []
    os.utime(runtime, (0, 0))
    assert [each.path for each in gc.collect(bench.home)] == [runtime]
