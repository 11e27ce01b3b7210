"""An environment is named by its content: the same is built once, anything else is another."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from nectar.home import Home
from nectar.manage.environment.survey import survey
from tests.environments.workbench import Bench, installed, snapshot, uv, write

pytestmark = pytest.mark.uv


def test_known_content_runs_no_uv(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bench.project(dependencies=("click",))
    first = bench.provide(project)
    log = bench.home.builds / "demo.log"
    log.unlink()
    monkeypatch.setenv("PATH", os.defpath)
    assert bench.provide(project) == first == bench.find(project)
    assert not log.exists()


def test_what_makes_another(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bench.project()
    bench.lock(project)
    keys = [bench.provide(project).key]

    def differs() -> bool:
        keys.append(bench.provide(project).key)
        return keys[-1] not in keys[:-1]

    write(project / "src" / "demo" / "data.txt", "a new file\n")
    assert differs()
    (project / "src" / "demo" / "data.txt").chmod(0o755)
    assert differs()
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text + "[tool.nectar]\nworkers = 2\n")
    assert differs()
    write(project / "uv.lock", (project / "uv.lock").read_text() + "\n# touched\n")
    assert differs()
    write(project / ".python-version", "3\n")
    assert differs()
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://user:secret@example.invalid/simple")
    changed = bench.find(project)
    assert changed is None
    key = survey(bench.home, bench.open(project), os.environ).key
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://user:other@example.invalid/simple")
    assert survey(bench.home, bench.open(project), os.environ).key == key


def test_what_makes_no_other(bench: Bench) -> None:
    project = bench.project()
    first = bench.provide(project)
    write(project / "src" / "demo" / "__pycache__" / "x.cpython-311.pyc", "")
    write(project / ".venv" / "pyvenv.cfg", "")
    write(project / "dist" / "demo-1.0.tar.gz", "")
    write(project / ".pytest_cache" / "x", "")
    os.utime(project / "pyproject.toml", (0, 0))
    assert bench.find(project) == first


def test_a_data_dir_inside_the_project(bench: Bench) -> None:
    project = bench.project()
    bench.home = Home(project / "sandbox")
    first = bench.provide(project)
    write(bench.home.logs / "demo.log", "something\n")
    write(bench.home.data_dir / "alice" / "data" / "computation" / "x.pending", "{}")
    assert bench.find(project) == first


def test_the_same_content_is_built_once_however_many_ask(bench: Bench) -> None:
    project = bench.project(dependencies=("click",))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: bench.provide(project), range(6)))
    assert len({each.key for each in found}) == 1
    assert bench.built() == [found[0].key]
    assert sum(line.lstrip().startswith("+ demo==") for line in bench.said) == 1


def test_the_resolution_is_kept_and_made_anew_when_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bench.project(dependencies=("nectar-test-kept",))
    wheels = bench.directory / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))

    def publish(version: str) -> None:
        library = bench.project("nectar-test-kept", at=f"kept-{version}", handler=False)
        write(
            library / "pyproject.toml",
            (library / "pyproject.toml").read_text().replace('version = "1.0"', f'version = "{version}"'),
        )
        uv("build", "--wheel", "--out-dir", wheels, library)

    publish("1.0")
    assert installed(bench.provide(project))["nectar-test-kept"] == "1.0"
    assert any("no lock" in line for line in bench.said)
    publish("2.0")
    write(project / "src" / "demo" / "__init__.py", "def answer(comp): return 2\n")
    assert installed(bench.provide(project))["nectar-test-kept"] == "1.0"
    assert not (project / "uv.lock").exists()
    assert installed(bench.provide(project, upgrade=True))["nectar-test-kept"] == "2.0"
    assert installed(bench.provide(project))["nectar-test-kept"] == "2.0"


def test_an_environment_does_not_change(bench: Bench) -> None:
    project = bench.project(dependencies=("click",))
    first = bench.provide(project)
    before = snapshot(first.path)
    write(project / "src" / "demo" / "__init__.py", "def answer(comp): return 2\n")
    bench.provide(project)
    bench.provide(project, upgrade=True)
    assert snapshot(first.path) == before


def test_an_ignored_lock_counts(bench: Bench) -> None:
    project = bench.project(dependencies=("click",))
    write(project / ".gitignore", "uv.lock\nignored.txt\n")
    subprocess.run(["git", "-C", str(project), "init", "-q"], check=True)
    uv("lock", "--project", project, "--exclude-newer", "2020-06-01T00:00:00Z")
    text = (project / "uv.lock").read_text()
    write(project / "uv.lock", text.replace('exclude-newer = "2020-06-01T00:00:00Z"', "").replace("[options]\n", ""))
    first = bench.provide(project)
    assert installed(first)["click"] == "7.1.2"
    write(project / "ignored.txt", "not source\n")
    assert bench.find(project) == first


def test_keys_of_the_project_s_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    project = bench.project(
        more='[tool.uv]\ncache-keys = [{ file = "pyproject.toml" }, { file = "made/*.txt" }, { env = "FLAVOUR" }]\n'
    )
    write(project / ".gitignore", "made/\n")
    subprocess.run(["git", "-C", str(project), "init", "-q"], check=True)
    write(project / "made" / "x.txt", "1\n")
    first = bench.provide(project)
    write(project / "made" / "x.txt", "2\n")
    second = bench.provide(project)
    assert second.key != first.key
    monkeypatch.setenv("FLAVOUR", "vanilla")
    assert bench.find(project) is None
