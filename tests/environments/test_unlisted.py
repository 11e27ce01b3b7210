"""What git ignores and a build needs: taken where the project's settings name it, and told of where they do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from tests.environments.workbench import HATCHLING, SETUPTOOLS, Bench, run, write

pytestmark = pytest.mark.once
IGNORED = (
    *("src/demo/_made.py", "src/demo/data/words.txt", "src/demo/data/deep/more.txt", "src/demo/lib.so", "made/x.h", "made/y.h"),
    *("src/demo/.env", "src/demo/data/.secret", ".env", "src/demo/__pycache__/x.pyc"),
)


@pytest.fixture
def ignoring(bench: Bench) -> Path:
    """A project in which git ignores all but its code."""
    place = bench.project()
    for name in IGNORED:
        write(place / name, "x = 1\n")
    write(place / ".gitignore", "_made.py\ndata/\n*.so\nmade/\n.env\n__pycache__/\n")
    subprocess.run(["git", "-C", str(place), "init", "-q"], check=True)
    return place


def taken(bench: Bench, place: Path) -> set[str]:
    """Which ignored files go into a build."""
    return set(bench.open(place).plan().tree.pieces) & set(IGNORED)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", set()),
        ('[tool.hatch.build]\nartifacts = ["src/demo/_made.py"]', {"src/demo/_made.py"}),
        ('[tool.hatch.build]\nartifacts = ["*.so", "!x.so", "/made/"]', {"src/demo/lib.so", "made/x.h", "made/y.h"}),
        (
            '[tool.hatch.build.targets.wheel]\nartifacts = ["src/demo/data"]',
            {"src/demo/data/words.txt", "src/demo/data/deep/more.txt"},
        ),
        ('[tool.hatch.build.targets.wheel.force-include]\n"made/x.h" = "demo/x.h"', {"made/x.h"}),
        ('[tool.setuptools.package-data]\n"*" = ["data/*.txt"]', {"src/demo/data/words.txt"}),
        ('[tool.setuptools.package-data]\ndemo = ["**/*.txt"]', {"src/demo/data/words.txt", "src/demo/data/deep/more.txt"}),
        ('[tool.setuptools.package-data]\nother = ["**/*.txt"]', set()),
        (
            '[tool.poetry]\ninclude = ["src/demo/*.so", { path = "made", format = "wheel" }]',
            {"src/demo/lib.so", "made/x.h", "made/y.h"},
        ),
        ('[tool.pdm.build]\nincludes = ["made/*"]', {"made/x.h", "made/y.h"}),
        ('[tool.uv.build-backend.data]\nheaders = "made"', {"made/x.h", "made/y.h"}),
        ('[tool.uv]\ncache-keys = [{ file = "src/demo/_made.py" }]', {"src/demo/_made.py"}),
        # What is hidden is taken by its name only; what leads out, and what is no list, is nothing.
        ('[tool.hatch.build]\nartifacts = ["*", "src/demo/data/.secret"]', {*IGNORED} - {".env", "src/demo/.env", IGNORED[-1]}),
        ('[tool.hatch.build]\nartifacts = ["../x", "/", "", "a/../../b", ":(top)x", "-x", 1, "x\\u0000y"]', set()),
        ('[tool.hatch.build]\nartifacts = "src/demo/_made.py"\n[tool.setuptools]\npackage-data = 3', set()),
    ],
)
def test_what_settings_name_is_taken(bench: Bench, ignoring: Path, settings: str, expected: set[str]) -> None:
    with (ignoring / "pyproject.toml").open("a") as stream:
        stream.write(settings + "\n")
    assert taken(bench, ignoring) == expected


@pytest.mark.uv
def test_a_module_that_settings_name_is_installed(bench: Bench, ignoring: Path) -> None:
    text = (ignoring / "pyproject.toml").read_text()
    text = text[: text.index("[build-system]")] + HATCHLING + '[tool.hatch.build.targets.wheel]\npackages = ["src/demo"]\n'
    write(ignoring / "pyproject.toml", text)
    bench.provide(ignoring)
    advice = 'artifacts = ["src/demo/_made.py"]'
    assert any(f"[tool.hatch.build] names it: {advice}" in line for line in bench.said)
    write(ignoring / "pyproject.toml", f"{text}[tool.hatch.build]\n{advice}\n")
    assert run(bench.provide(ignoring), "import demo._made; print(demo._made.x)") == "1"


@pytest.mark.uv
def test_what_is_lacking_is_told(bench: Bench, ignoring: Path) -> None:
    bench.provide(ignoring)
    told = next(line for line in bench.said if "git ignores" in line)
    assert "src/demo/_made.py" in told
    assert 'cache-keys = [{ file = "pyproject.toml" }, { file = "src/demo/_made.py" }]' in told
    assert ".env" not in told
    assert ".secret" not in told
    with (ignoring / "pyproject.toml").open("a") as stream:
        stream.write('[tool.uv]\ncache-keys = [{ file = "src/demo/**" }]\n')
    bench.said.clear()
    bench.provide(ignoring)
    assert not any("git ignores" in line for line in bench.said)


@pytest.mark.uv
def test_a_build_that_fails_says_what_was_left_out(bench: Bench, ignoring: Path) -> None:
    text = (ignoring / "pyproject.toml").read_text()
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    write(ignoring / "pyproject.toml", text[: text.index("[build-system]")] + build)
    write(ignoring / "backend.py", "open('src/demo/_made.py')\n")
    bench.lock(ignoring)
    with pytest.raises(EnvironmentFailedError) as failed:
        bench.provide(ignoring)
    assert "git ignores it: src/demo/_made.py" in (failed.value.detail or "")


@pytest.mark.uv
def test_an_unpacked_sdist_keeps_its_data(bench: Bench) -> None:
    project = bench.project(build=SETUPTOOLS)
    write(project / "src" / "demo" / "words.txt", "kept\n")
    write(project / "PKG-INFO", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    before = bench.open(project).plan().digests()
    sources = "pyproject.toml\nsrc/demo/__init__.py\nsrc/demo/words.txt\n"
    write(project / "src" / "demo.egg-info" / "SOURCES.txt", sources)
    write(project / "src" / "demo.egg-info" / "PKG-INFO", "x\n")
    assert bench.open(project).plan().digests() != before
    code = "import demo, pathlib; print((pathlib.Path(demo.__file__).parent / 'words.txt').read_text())"
    assert run(bench.provide(project), code) == "kept"
