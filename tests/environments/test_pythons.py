"""Which Python an environment gets, and what is said when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import drift
from nectar.manage.uv import interpreters
from tests import pythons
from tests.environments.workbench import Bench, pyenv, uv, write

pytestmark = pytest.mark.uv


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", pythons.path_with("3.11", "3.12"))


@pytest.mark.usefixtures("both")
def test_who_asks_for_a_python(bench: Bench) -> None:
    project = bench.project()
    assert minor(bench.provide(project).marker.python_version) == "3.11"
    assert minor(bench.provide(project, python="3.12").marker.python_version) == "3.12"
    assert minor(bench.provide(project, python=str(pythons.require("3.12"))).marker.python_version) == "3.12"
    write(project / ".python-version", "# a comment\n3.12\n")
    assert minor(bench.provide(project).marker.python_version) == "3.12"
    narrow = bench.project("narrow", fields='requires-python = ">=3.12,<3.13"')
    assert minor(bench.provide(narrow).marker.python_version) == "3.12"
    file = bench.file("mine.py", '# /// script\n# requires-python = "==3.12.*"\n# ///\n')
    assert minor(bench.provide(file).marker.python_version) == "3.12"


@pytest.mark.usefixtures("both")
def test_a_workspace_s_members_all_count(bench: Bench) -> None:
    write(bench.directory / "space" / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["*"]\n')
    bench.project("other", at="space/other", handler=False, fields='requires-python = ">=3.12"')
    project = bench.project(at="space/demo")
    bench.lock(project)
    assert minor(bench.provide(project).marker.python_version) == "3.12"


@pytest.mark.usefixtures("both")
def test_a_wish_that_the_project_does_not_allow(bench: Bench) -> None:
    project = bench.project(fields='requires-python = ">=3.12"')
    with pytest.raises(
        EnvironmentFailedError, match=r"Python 3\.11\.\d+ does not satisfy the handler's requires-python, which is >=3\.12"
    ) as refused:
        bench.provide(project, python="3.11")
    assert refused.value.where == "--python: 3.11"


@pytest.mark.usefixtures("both")
def test_none_fits(bench: Bench) -> None:
    with pytest.raises(EnvironmentFailedError, match="No Python that is here fits") as refused:
        bench.provide(bench.project(), python="3.99")
    assert "3.11." in (refused.value.hint or "")
    assert "3.12." in (refused.value.hint or "")
    assert "--python-downloads" in (refused.value.hint or "")
    with pytest.raises(EnvironmentFailedError, match="No Python that is here fits") as refused:
        bench.provide(bench.project(fields='requires-python = ">=3.99"'))
    assert refused.value.where == 'requires-python = ">=3.99"'


def test_one_that_is_too_old(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    old = pyenv("3.10")
    if old is None:
        pytest.skip("pyenv has no Python 3.10 here")
    monkeypatch.setenv("PATH", f"{old}:{pythons.path_with('3.11')}")
    for opened in (
        {"path": bench.project(), "python": "3.10"},
        {"path": bench.project(), "python": str(old / "python3.10")},
        {"path": bench.project("narrow", fields='requires-python = ">=3.10,<3.11"')},
    ):
        with pytest.raises(EnvironmentFailedError, match=r"Python 3\.10\.\d+ is too old: handlers run on Python 3\.11 and later"):
            bench.provide(**opened)
    assert minor(bench.provide(bench.project("wide", fields='requires-python = ">=3.8"')).marker.python_version) == "3.11"


def test_nothing_is_downloaded_unasked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(bench.directory / "pythons"))
    with pytest.raises(EnvironmentFailedError, match="No Python that is here fits"):
        bench.provide(bench.project())
    assert not (bench.directory / "pythons").exists() or not list((bench.directory / "pythons").glob("cpython-*"))


def test_a_base_that_vanished_is_noticed_and_mended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    base = bench.directory / "pythons" / "bin"
    base.mkdir(parents=True)
    real = pythons.require("3.11")
    uv("venv", "--no-project", "--python", real, bench.directory / "unused")
    # A Python of its own: the real one by links, which is enough of one for uv.
    root = real.resolve().parent.parent
    shutil.rmtree(base.parent)
    shutil.copytree(
        root / "bin", base, symlinks=True, ignore=lambda _, names: [name for name in names if not name.startswith("python")]
    )
    (base.parent / "lib").symlink_to(root / "lib")
    (base.parent / "include").symlink_to(root / "include")
    if not (base / "python3.11").exists():
        pytest.skip("this Python cannot be copied")
    monkeypatch.setenv("PATH", str(base))
    project = bench.project()
    first = bench.provide(project)
    if not (first.path / "bin" / "python").resolve().is_relative_to(bench.directory):
        pytest.skip("uv looks through the links of this Python")
    shutil.rmtree(base)
    assert bench.find(project) is None
    assert any("Python has vanished" in problem for problem in drift.check(bench.home, first.key))
    monkeypatch.setenv("PATH", pythons.path_with("3.11"))
    second = bench.provide(project)
    assert second.key == f"{first.key}.2", "nothing is mended in its place, where a daemon may run from it"
    assert second.python.exists()
    assert drift.check(bench.home, second.key) == []


def test_pyenv_s_stand_ins_are_replaced(tmp_path: Path) -> None:
    for version in ("3.9.1", "3.12.1", "3.11.7", "3.13.0"):
        write(tmp_path / "versions" / version / "bin" / "python", "")
    write(tmp_path / "version", "3.11.7\n")
    (tmp_path / "shims").mkdir()
    found = interpreters.make_search_path({"PATH": f"/usr/bin:{tmp_path}/shims:/bin"}).split(":")
    assert found[0] == "/usr/bin"
    assert [Path(each).parent.name for each in found[1:-1]] == ["3.11.7", "3.13.0", "3.12.1", "3.9.1"]
    assert found[-1] == "/bin"
