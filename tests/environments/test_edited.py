"""An environment that somebody changed is noticed, and built anew beside the old one, which a daemon may run from."""

from __future__ import annotations

import csv
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage import gc
from nectar.manage.environment import drift, generations
from nectar.manage.environment.generations import Environment
from nectar.manage.environment.installed import Distribution, find_mismatches, read_distributions, refuse_outside
from nectar.manage.environment.marker import MARKER, NOTES
from tests.environments.test_gc_and_state import record
from tests.environments.workbench import Bench, run, snapshot, uv
from tests.world import World

pytestmark = pytest.mark.uv

HOSTILE = ["/dev/zero", "../../../../../etc/passwd", "../../../..", "out/zero", "demo/\0.py", ".."]
"""What a RECORD must not name; ``out`` is a link."""


def module(found: Environment, name: str = "demo") -> Path:
    return next(found.path.glob(f"lib/*/site-packages/{name}/__init__.py"))


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "# edited\n")


def test_beside_one_that_a_newer_version_made_another_is_built(bench: Bench) -> None:
    project = bench.project()
    first = bench.provide(project)
    marker = first.path / MARKER
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "schema": 2, "nectar": "9.1.0"}))
    before = snapshot(first.path)
    assert bench.find(project) is None
    second = bench.provide(project)
    assert second.key == f"{first.key}.2"
    told = f"{first.path} was made by a newer nectar than this one, and is left as it is: another one is built beside it."
    assert bench.said.count(told) == 1
    assert bench.provide(project) == second == bench.find(project)
    assert bench.said.count(told) == 1
    assert snapshot(first.path) == before


def test_it_is_built_anew_under_another_name(bench: Bench) -> None:
    project = bench.project()
    first = bench.provide(project)
    edit(module(first))
    assert bench.find(project) is None
    assert drift.find_changes(bench.home, record(bench, project, first)) == [
        f"environment ({module(first).relative_to(first.path)})"
    ]
    edit(first.path / "CACHEDIR.TAG")
    second = bench.provide(project)
    assert second.key == f"{first.key}.2"
    told = next(line for line in bench.said if "not in use" in line)
    assert f"{module(first)} (and 1 more)" in told and str(project / "src" / "demo" / "__init__.py") in told
    assert "# edited" in module(first).read_text(), "whoever runs from it has it as it is"
    assert "# edited" not in module(second).read_text()
    assert bench.provide(project) == second == bench.find(project)
    assert drift.find_changes(bench.home, record(bench, project, second)) == []
    assert {each.path for each in gc.collect(bench.home)} == {first.path}
    assert bench.provide(project) == second


def test_a_second_time_within_an_hour_is_refused(bench: Bench) -> None:
    project = bench.project()
    edit(module(bench.provide(project)))
    second = bench.provide(project)
    edit(second.path / "pyvenv.cfg")
    third = bench.provide(project)
    edit(module(third))
    with pytest.raises(EnvironmentFailedError, match="within an hour the same file is changed again") as refused:
        bench.provide(project)
    assert refused.value.where == str(module(third))
    assert str(project / "src" / "demo" / "__init__.py") in (refused.value.hint or "")
    assert bench.built() == [f"{third.key.partition('.')[0]}{number}" for number in ("", ".2", ".3")]
    marker = json.loads((third.path / MARKER).read_text())
    assert set(marker["rebuilt"]) == {str(module(third).relative_to(third.path)), "pyvenv.cfg"}
    marker["rebuilt"] = {path: time.time() - 3601 for path in marker["rebuilt"]}
    (third.path / MARKER).write_text(json.dumps(marker))
    assert bench.provide(project).key.endswith(".4")


def test_all_who_notice_at_once_have_it_built_once(bench: Bench) -> None:
    project = bench.project()
    edit(module(bench.provide(project)))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: bench.provide(project), range(4)))
    assert {each.key[20:] for each in found} == {".2"}
    assert len(bench.built()) == 2


@pytest.mark.parametrize("change", ["moved", "without notes", "unfinished"])
def test_what_else_may_have_happened_to_it(bench: Bench, change: str) -> None:
    project = bench.project()
    found = bench.provide(project)
    if change == "moved":
        shutil.copytree(found.path, found.path.with_name("copy"), symlinks=True)
        shutil.rmtree(found.path)
        found.path.with_name("copy").rename(found.path)
    else:
        marker = found.path / MARKER
        edit(module(found))
        (found.path / NOTES).unlink()
        fields = json.loads(marker.read_text())
        del fields["noted" if change == "without notes" else "entries"]
        marker.write_text(json.dumps(fields))
    again = bench.provide(project)
    assert again.key == (f"{found.key}.2" if change == "unfinished" else found.key)
    assert not [line for line in bench.said if "not in use" in line]


def test_a_copy_in_the_cache_that_was_edited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a handler of 0.1.0 did it, through a hard link."""
    library = bench.project("nectar-test-edited", at="elsewhere", handler=False)
    uv("build", "--wheel", "--out-dir", bench.directory / "wheels", library)
    cache = bench.directory / "cache"
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    monkeypatch.setenv("UV_FIND_LINKS", str(bench.directory / "wheels"))
    project = bench.project(dependencies=("nectar-test-edited",))
    found = bench.provide(project)
    (kept,) = {path.resolve() for path in cache.rglob("nectar_test_edited/__init__.py")}
    assert kept.read_bytes() == module(found, "nectar_test_edited").read_bytes()
    kept.write_text(kept.read_text().replace("return 1", "return 9"))
    assert "return 1" in module(found, "nectar_test_edited").read_text()
    assert bench.find(project) == found
    edit(module(found))
    with pytest.raises(EnvironmentFailedError, match=r"__init__\.py has another content") as refused:
        bench.provide(project)
    assert (refused.value.hint or "").endswith("uv cache clean nectar-test-edited")
    assert bench.built() == [found.key]
    uv("cache", "clean", "nectar-test-edited", UV_CACHE_DIR=str(cache))
    assert run(bench.provide(project), "import nectar_test_edited as m; print(m.answer(0))") == "1"


def test_what_a_record_names_elsewhere_is_neither_read_nor_accepted(bench: Bench) -> None:
    found = bench.provide(bench.project())
    packages = next(found.path.glob("lib/*/site-packages"))
    (packages / "out").symlink_to("/dev")
    (whole,) = read_distributions(found.path)
    refuse_outside(found.path, [whole])
    for path in HOSTILE:
        odd = Distribution("evil", "1.0", [(path, "sha256=x", None)], {})
        with pytest.raises(EnvironmentFailedError, match=r"The RECORD of the distribution evil 1\.0 names a file outside"):
            refuse_outside(found.path, [whole, odd])
        assert list(find_mismatches(found.path, [odd])) == [f"evil: {path} lies outside of the environment"]


def test_doctor_looks_at_whatever_a_handler_made_of_its_environment(bench: Bench) -> None:
    found = bench.provide(bench.project())
    info = next(found.path.glob("lib/*/site-packages/demo-1.0.dist-info"))
    rows = list(csv.reader((info / "RECORD").read_text().splitlines()))
    (info / "RECORD").write_text("".join(f"{path},{digest},\n" for path, digest, _ in rows) + "/dev/zero,sha256=x,\n")
    assert drift.check(bench.home, found.key) == ["demo: /dev/zero lies outside of the environment"]
    for text in (
        f"{'x' * 200_000},,\n",
        f'"{"x" * 200_000}',
    ):
        (info / "RECORD").write_text(text)
        assert drift.check(bench.home, found.key) == ["demo: no RECORD"]
    (info / "RECORD").write_text(f"demo/__init__.py,,{'9' * 5000}\nnothing.py,,²\n")
    assert drift.check(bench.home, found.key) == ["demo: nothing.py is missing"]
    for name in ("RECORD", "METADATA", "entry_points.txt"):
        (info / name).unlink()
        (info / name).symlink_to("/dev/zero")
    assert "its distributions are not those that it was built with" in drift.check(bench.home, found.key)
    shutil.rmtree(found.path / "lib")
    assert drift.check(bench.home, found.key) == ["The environment holds no site-packages."]


def test_on_the_command_line(fresh: World) -> None:
    file = fresh.file("mine.py", "from nectar import handler\n\n@handler\ndef analyze(comp) -> int:\n    return 1\n")
    fresh.node("alice")
    fresh.run("launch", file, "--attach", "alice")
    first = fresh.registry()["mine"]["environment"]
    copy = next((fresh.home.envs / first).glob("lib/*/site-packages/_nectar_file/modules/mine.py"))
    copy.write_text(copy.read_text().replace("1", "2"))
    assert "_nectar_file/modules/mine.py" in "".join(fresh.json("view", "mine")["changed"])
    assert str(copy) in fresh.run("exec", "mine", "--", "python", "-c", "").stderr
    fresh.run("stop", "mine")
    said = fresh.run("start", "mine").stderr
    assert str(copy) in said and f"edit {file}" in said
    assert fresh.registry()["mine"]["environment"] == f"{first}.2"
    fresh.put("j1")
    assert fresh.answer("j1")["result"] == {"value": 1}
    assert fresh.json("view", "mine")["changed"] == []
    again = next((fresh.home.envs / f"{first}.2").glob("lib/*/site-packages/_nectar_file/modules/mine.py"))
    again.write_text(copy.read_text())
    said = fresh.run("restart", "mine", code=5).stderr
    assert str(again) in said
    fresh.put("j2")
    assert fresh.answer("j2")["result"] == {"value": 1}, "what runs goes on"
    assert generations.key_of(f"{first}.2") == first
