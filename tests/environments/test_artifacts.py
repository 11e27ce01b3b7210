"""A wheel, an sdist and a requirement are handlers like a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError, UsageError
from nectar.manage.source import source
from tests.environments.workbench import Bench, installed, run, uv, write

pytestmark = pytest.mark.uv


@pytest.fixture
def dist(bench: Bench) -> Path:
    """A directory with a wheel and an sdist of a handler that needs click 7.1.2."""
    project = bench.project("nectar-test-artifact", dependencies=("click==7.1.2",), fields='requires-python = ">=3.10"')
    uv("build", "--out-dir", bench.directory / "dist", project)
    return bench.directory / "dist"


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_a_file(bench: Bench, dist: Path, pattern: str) -> None:
    file = next(dist.glob(pattern))
    assert bench.open(file).name == "nectar_test_artifact"
    found = bench.provide(file)
    assert installed(found) == {"click": "7.1.2", "nectar-test-artifact": "1.0"}
    assert found.marker.entries == (("nectar_test_artifact", "nectar_test_artifact:answer"),)
    assert bench.find(file) == found
    assert bench.open(file).directory == dist


def test_a_wheel_of_the_same_name_with_other_content(bench: Bench, dist: Path) -> None:
    first = bench.provide(next(dist.glob("*.whl")))
    project = bench.directory / "nectar-test-artifact"
    write(project / "src" / "nectar_test_artifact" / "__init__.py", "def answer(c): return 2\n")
    uv("build", "--wheel", "--out-dir", dist, project)
    second = bench.provide(next(dist.glob("*.whl")))
    assert second.key != first.key
    assert run(second, "import nectar_test_artifact as m; print(m.answer(0))") == "2"


def test_a_requirement(bench: Bench, dist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(dist))
    opened = bench.open(None, requirement="nectar-test-artifact==1.0")
    assert (opened.name, opened.shown) == ("nectar-test-artifact", "nectar-test-artifact==1.0")
    found = bench.provide(None, requirement="nectar-test-artifact==1.0")
    assert installed(found) == {"click": "7.1.2", "nectar-test-artifact": "1.0"}
    assert source.reopen(opened.to_mapping()) == opened
    with pytest.raises(EnvironmentFailedError, match="could not be resolved"):
        bench.provide(None, requirement="nectar-test-artifact==9.9")


def test_something_without_a_handler(bench: Bench) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"six was installed without an entry point in the group nectar\.handlers"):
        bench.provide(None, requirement="six")


def test_what_is_no_handler(bench: Bench) -> None:
    with pytest.raises(UsageError, match="is no handler"):
        bench.open(bench.file("notes.txt", ""))
    with pytest.raises(UsageError, match="is not a requirement"):
        bench.open(None, requirement="?!")
    with pytest.raises(EnvironmentFailedError) as failed:
        bench.provide(bench.file("broken-1.0-py3-none-any.whl", "this is no archive"))
    assert failed.value.detail
