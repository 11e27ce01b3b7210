"""Extras: chosen by a person or by the author, kept, and never silently left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nectar.errors import NotFoundError, UsageError
from nectar.manage.environment import drift
from nectar.manage.environment.generations import Environment
from nectar.manage.handlers.registry import Record
from nectar.manage.source import extras, source
from tests.environments.workbench import Bench, installed, uv, write
from tests.world import TWICE, World

EXTRAS = """
    [project.optional-dependencies]
    fast = ["nectar-test-fast"]
    Very_Slow = ["nectar-test-slow"]
"""


@pytest.fixture
def wheels(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where uv finds what the extras need."""
    for name in ("fast", "slow"):
        library = bench.project(f"nectar-test-{name}", at=f"elsewhere/{name}", handler=False)
        uv("build", "--wheel", "--out-dir", bench.directory / "wheels", library)
    monkeypatch.setenv("UV_FIND_LINKS", str(bench.directory / "wheels"))
    return bench.directory / "wheels"


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        (".[fast]", ".", ("fast",)),
        ("..[fast, slow]", "..", ("fast", "slow")),
        ("x/[a]", "x", ("a",)),
        ("x.whl[fast]", "x.whl", ("fast",)),
        ("x[y][fast]", "x[y]", ("fast",)),
        ("x", "x", ()),
        ("x[]", "x[]", ()),
        ("x[a b]", "x[a b]", ()),
        ("x[fast].py", "x[fast].py", ()),
        ("there[fast]", "there[fast]", ()),
        ("broken[fast]", "broken[fast]", ()),
    ],
)
def test_behind_a_path(text: str, path: str, found: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "there[fast]").mkdir()
    (tmp_path / "broken[fast]").symlink_to("nowhere")
    assert extras.part_path(tmp_path / text) == (tmp_path / path, found)


@pytest.mark.parametrize(
    ("requirement", "more", "made"),
    [
        ("x", (), "x"),
        ("x[B]", (), "x[B]"),
        ("x", ("Fast",), "x[fast]"),
        ("x [b, A_x]>=1; python_version > '3'", ("fast",), "x[a-x,b,fast]>=1; python_version > '3'"),
        ("x @ https://host/[1]/x.whl", ("fast",), "x[fast] @ https://host/[1]/x.whl"),
    ],
)
def test_in_a_requirement(requirement: str, more: tuple[str, ...], made: str) -> None:
    assert extras.add(requirement, more) == made
    opened = source.open_source(None, requirement=requirement, chosen=more)
    assert opened.requirement == made
    assert opened.plan().asked.extras == extras.join(extras.list_of(made))


def test_a_record_keeps_them_and_one_of_0_1_0_has_none(bench: Bench) -> None:
    project = bench.project(more=EXTRAS)
    opened = bench.open(Path(f"{project}[very.slow]"), chosen=("fast",))
    assert (opened.path, opened.extras) == (project, ("fast", "very-slow"))
    assert opened.shown == f"{project}[fast,very-slow]"
    record = opened.to_mapping()
    assert source.reopen(record) == opened
    assert source.recall(record).extras == opened.extras
    del record["extras"]
    assert source.reopen(record) == bench.open(project)
    assert source.recall(record).extras == ()


def test_what_is_wrong_with_them(bench: Bench) -> None:
    project = bench.project(more=EXTRAS)
    file = bench.file("one.py", TWICE)
    said = bench.file("two.py", f'# /// script\n# [tool.nectar]\n# extras = ["fast"]\n# ///\n{TWICE}')
    plain = bench.project("plain")
    for path, chosen, message, hint in (
        (project, ("quick",), "no extra 'quick'", "There are: fast, very-slow"),
        (Path(f"{project}[quick]"), (), "no extra 'quick'", "There are: fast, very-slow"),
        (plain, ("fast",), "no extra 'fast'", "There are none"),
        (file, ("fast",), "single file has no extras", "dependencies"),
        (Path(f"{file}[fast]"), (), "single file has no extras", "dependencies"),
        (said, (), "single file has no extras", "dependencies"),
    ):
        with pytest.raises(UsageError, match=message) as wrong:
            bench.open(path, chosen=chosen).plan()
        assert hint in str(wrong.value.hint)
    with pytest.raises(UsageError, match="This is an address, and no path"):
        source.open_source("https://bob:secret@host/x.whl[fast]")
    with pytest.raises(NotFoundError):
        bench.open(Path(f"{bench.directory}/nope[fast]"))
    for value in ('"fast"', "[1]", '["a b"]', '["-x"]'):
        with pytest.raises(UsageError, match="'extras' must be"):
            bench.open(bench.project("wrong", more=f"[tool.nectar]\nextras = {value}"))


def test_the_key_depends_on_those_that_are_chosen(bench: Bench) -> None:
    project = bench.project(more=EXTRAS)

    def parts(path: Path) -> dict[str, str]:
        return bench.open(path).plan().digests()

    plain = parts(project)
    assert parts(Path(f"{project}[fast]")) != plain
    assert parts(Path(f"{project}[fast]")) == parts(Path(f"{project}[FAST,fast]"))
    assert {name for name, digest in parts(Path(f"{project}[fast]")).items() if digest != plain[name]} == {"project"}


@pytest.mark.uv
def test_of_a_project(bench: Bench, wheels: Path) -> None:
    project = bench.project(more=EXTRAS)
    assert installed(bench.provide(project)) == {"demo": "1.0"}
    chosen = bench.provide(Path(f"{project}[Very.slow]"))
    assert installed(chosen) == {"demo": "1.0", "nectar-test-slow": "1.0"}
    bench.project(more=f'{EXTRAS}\n    [tool.nectar]\n    extras = ["fast"]')
    assert installed(bench.provide(project)) == {"demo": "1.0", "nectar-test-fast": "1.0"}
    opened = bench.open(project, chosen=("very_slow",))
    both = bench.provide(project, chosen=("very_slow",))
    assert installed(both) == {"demo": "1.0", "nectar-test-fast": "1.0", "nectar-test-slow": "1.0"}
    record = Record(source=opened.to_mapping(), environment=both.key)
    assert drift.find_changes(bench.home, record, environ=os.environ) == []
    bench.project(more=EXTRAS)
    assert set(drift.find_changes(bench.home, record, environ=os.environ)) == {"settings"}


@pytest.mark.uv
def test_of_a_member_of_a_workspace_through_a_path_source(bench: Bench) -> None:
    """The extra's own source lies beside it, and is taken along."""
    write(bench.directory / "space" / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["demo"]\n')
    bench.project("nectar-test-beside", at="space/beside", handler=False)
    project = bench.project(
        at="space/demo",
        more="""
        [project.optional-dependencies]
        fast = ["nectar-test-beside"]
        [tool.uv.sources]
        nectar-test-beside = { path = "../beside" }
        """,
    )
    bench.lock(project)
    assert installed(bench.provide(project)) == {"demo": "1.0"}
    assert installed(bench.provide(project, chosen=("fast",))) == {"demo": "1.0", "nectar-test-beside": "1.0"}


@pytest.mark.uv
@pytest.mark.parametrize("pattern", [pytest.param("*.whl", marks=pytest.mark.once), "*.tar.gz", "requirement"])
def test_of_a_file_and_a_requirement(bench: Bench, wheels: Path, pattern: str) -> None:
    uv("build", "--out-dir", wheels, bench.project(more=EXTRAS))

    def provide(name: str) -> Environment:
        if pattern == "requirement":
            return bench.provide(None, requirement=f"demo[{name}]")
        return bench.provide(Path(f"{next(wheels.glob(f'demo{pattern}'))}[{name}]"))

    assert installed(provide("fast")) == {"demo": "1.0", "nectar-test-fast": "1.0"}
    with pytest.raises(UsageError, match="no extra 'quick'") as wrong:
        provide("quick")
    assert wrong.value.hint == "There are: fast, very-slow."


@pytest.mark.uv
@pytest.mark.once
def test_from_the_command_line_to_a_restart(fresh: World, bench: Bench, wheels: Path) -> None:
    code = "from nectar import handler\n@handler\ndef answer(comp):\n    import nectar_test_fast\n    return 7\n"
    project = bench.project(more=EXTRAS, code=code)
    fresh.run("test", ".", code=1, cwd=project)
    fresh.run("test", ".", "--extra", "fast", "--expect", "7", cwd=project)
    fresh.run("test", ".[fast]", "--expect", "7", cwd=project)
    assert "There are: fast" in fresh.run("test", ".[quick]", code=2, cwd=project).stderr
    assert f"{project}[fast]" in fresh.run("launch", ".[fast]", "h", cwd=project).stdout
    before = fresh.registry()["h"]["environment"]
    fresh.run("restart", "h")
    assert fresh.registry()["h"]["environment"] == before
    assert "(nothing since launch)" in fresh.run("view", "h").stdout
    fresh.run("stop", "h")
    fresh.run("start", "h")
    assert (
        "nectar_test_fast" in fresh.run("exec", "h", "--", "python", "-c", "import nectar_test_fast as f; print(f.__name__)").stdout
    )
