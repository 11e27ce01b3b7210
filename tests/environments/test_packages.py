"""A project's directory becomes an environment: its own lock and nothing more, and the project stays as it was."""

from __future__ import annotations

import os
import subprocess
import tempfile
import tomllib
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError, NotFoundError, UsageError
from nectar.home import Home
from tests.environments.workbench import SETUPTOOLS, UV_BUILD, Bench, installed, listed, run, snapshot, uv, write

pytestmark = pytest.mark.uv


# How uv builds with any backend but its own is the same, and other tests here have one. This one writes into a project's directory.
@pytest.mark.parametrize(
    "build", [pytest.param(UV_BUILD, id="uv_build"), pytest.param(SETUPTOOLS, id="setuptools", marks=pytest.mark.once)]
)
def test_each_backend_and_new_code_after_an_edit(bench: Bench, build: str) -> None:
    """The author's tree is not written, and need not be one that can be."""
    project = bench.project(build=build, dependencies=("six",))
    places = [project, *project.rglob("*")]
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = snapshot(project)
    try:
        first = bench.provide(project)
        assert snapshot(project) == before
    finally:
        for path in places:
            path.chmod(0o755)
    assert first.marker.entries == (("demo", "demo:answer"),)
    assert run(first, "import demo; print(demo.answer(0))") == "1"
    write(project / "src" / "demo" / "__init__.py", "def answer(comp):\n    return 2\n")
    second = bench.provide(project)
    assert second.key != first.key
    assert run(second, "import demo; print(demo.answer(0))") == "2"
    assert run(first, "import demo; print(demo.answer(0))") == "1"


def test_the_environment_is_the_lock_without_groups_and_extras(bench: Bench) -> None:
    project = bench.project(
        dependencies=("click==7.1.2",),
        more="""
        [dependency-groups]
        dev = ["iniconfig"]
        [project.optional-dependencies]
        more = ["six"]
        """,
    )
    lock = bench.lock(project)
    found = bench.provide(project)
    locked = {each["name"]: each["version"] for each in tomllib.loads(lock.read_text())["package"]}
    assert {"iniconfig", "six"} <= set(locked)
    assert installed(found) == listed(found) == {"click": "7.1.2", "demo": "1.0"}
    inside = run(found, "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))")
    assert inside == str([("click", "7.1.2"), ("demo", "1.0")])
    assert not bench.said or "no lock" not in bench.said[0]


def test_a_path_with_spaces_quotes_and_other_letters(bench: Bench) -> None:
    project = bench.project(at="größe 'x' \"y\"/パス", dependencies=("click==7.1.2",))
    assert installed(bench.provide(project)) == {"click": "7.1.2", "demo": "1.0"}


def test_what_lies_above_the_project_is_not_its_workspace(bench: Bench) -> None:
    write(bench.directory / "pyproject.toml", '[tool.uv.workspace]\nmembers = ["elsewhere/*"]\n')
    assert bench.provide(bench.project()).marker.entries


def test_a_member_of_a_workspace_with_a_member_that_it_needs(bench: Bench) -> None:
    root = write(
        bench.directory / "space" / "pyproject.toml",
        '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/not-*"]\n[tool.uv.sources]\nneeded = { workspace = true }\n',
    ).parent
    bench.project("needed", at="space/packages/needed", handler=False, code="VALUE = 7\n")
    bench.project("other", at="space/packages/other", handler=False, dependencies=("six",))
    write(root / "packages" / "not-a-member" / "pyproject.toml", "this is not TOML")
    project = bench.project(
        at="space/packages/demo", dependencies=("needed",), code="from needed import VALUE\ndef answer(c): return VALUE\n"
    )
    with pytest.raises(EnvironmentFailedError, match=r"no lock.*outside") as refused:
        bench.provide(project)
    assert refused.value.hint == f"uv lock --project {root}"
    bench.lock(project)
    before = snapshot(root)
    first = bench.provide(project)
    assert installed(first) == {"demo": "1.0", "needed": "1.0"}
    assert run(first, "import demo; print(demo.answer(0))") == "7"
    write(root / "packages" / "other" / "src" / "other" / "__init__.py", "changed = True\n")
    assert bench.provide(project).key == first.key
    write(root / "packages" / "needed" / "src" / "needed" / "__init__.py", "VALUE = 8\n")
    second = bench.provide(project)
    assert run(second, "import demo; print(demo.answer(0))") == "8"
    assert set(snapshot(root)) == set(before)


def test_members_that_need_each_other(bench: Bench) -> None:
    write(
        bench.directory / "space" / "pyproject.toml",
        '[tool.uv.workspace]\nmembers = ["*"]\n[tool.uv.sources]\ndemo = { workspace = true }\nother = { workspace = true }\n',
    )
    bench.project("other", at="space/other", handler=False, dependencies=("demo",))
    project = bench.project(at="space/demo", dependencies=("other",))
    bench.lock(project)
    assert set(installed(bench.provide(project))) == {"demo", "other"}


def test_a_relative_path_source_keeps_its_place(bench: Bench) -> None:
    bench.project("far", at="libraries/far", handler=False, code="VALUE = 3\n")
    bench.project(
        "near",
        at="group/near",
        handler=False,
        dependencies=("far",),
        more='[tool.uv.sources]\nfar = { path = "../../libraries/far" }\n',
    )
    project = bench.project(
        at="group/demo",
        dependencies=("near",),
        more='[tool.uv.sources]\nnear = { path = "../near", editable = true }\n',
        code="from far import VALUE\ndef answer(c): return VALUE\n",
    )
    bench.lock(project)
    first = bench.provide(project)
    assert run(first, "import demo; print(demo.answer(0))") == "3"
    assert ".build-" not in run(first, "import far, near; print(far.__file__, near.__file__)")
    write(bench.directory / "libraries" / "far" / "src" / "far" / "__init__.py", "VALUE = 4\n")
    assert run(bench.provide(project), "import demo; print(demo.answer(0))") == "4"


def test_a_path_source_inside_the_project_needs_no_lock(bench: Bench) -> None:
    bench.project("inner", at="demo/libs/inner", handler=False)
    project = bench.project(dependencies=("inner",), more='[tool.uv.sources]\ninner = { path = "libs/inner" }\n')
    assert set(installed(bench.provide(project))) == {"demo", "inner"}


def test_uv_itself_finds_nothing_to_do(bench: Bench) -> None:
    project = bench.project(dependencies=("click==7.1.2", "six"), more='[dependency-groups]\ndev = ["iniconfig"]\n')
    bench.lock(project)
    found = bench.provide(project)
    flags = ("--locked", "--check", "--no-default-groups", "--no-install-local", "--inexact")
    uv("sync", *flags, "--project", project, "--python", found.python, UV_PROJECT_ENVIRONMENT=str(found.path))


def test_commands_in_the_environment_work_after_the_rename(bench: Bench) -> None:
    code = "import sys\n\ndef answer(c):\n    return 1\n\ndef main():\n    print(sys.prefix)\n"
    found = bench.provide(bench.project(fields='scripts = { demo-run = "demo:main" }', code=code))
    assert subprocess.check_output([found.path / "bin" / "demo-run"], text=True).strip() == str(found.path)


def test_modules_named_like_our_internals_and_a_pth_that_raises(bench: Bench) -> None:
    modules = 'module-name = ["demo", "watchdog", "pluggy"]\ndata = { purelib = "beside" }\n'
    project = bench.project(more=f"[tool.uv.build-backend]\n{modules}")
    for name in ("watchdog", "pluggy"):
        write(project / "src" / name / "__init__.py", "raise RuntimeError('not the real one')\n")
    write(project / "beside" / "raises.pth", "import sys; raise RuntimeError('no')\n")
    found = bench.provide(project)
    assert found.marker.entries == (("demo", "demo:answer"),)
    assert (next(found.path.glob("lib/*/site-packages")) / "raises.pth").exists()


def test_a_data_dir_on_another_file_system(bench: Bench) -> None:
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == bench.directory.stat().st_dev:
        pytest.skip("there is no other file system that can be written here")
    with tempfile.TemporaryDirectory(dir=other) as place:
        bench.home = Home(Path(place) / "data")
        found = bench.provide(bench.project(dependencies=("click==7.1.2",)))
        assert installed(found)["click"] == "7.1.2"
        assert bench.built() == [found.key]


def test_an_absolute_path_source_is_refused(bench: Bench) -> None:
    library = bench.project("library", handler=False)
    project = bench.project(dependencies=("library",), more=f'[tool.uv.sources]\nlibrary = {{ path = "{library}" }}\n')
    with pytest.raises(EnvironmentFailedError, match="library is an absolute path") as refused:
        bench.provide(project)
    assert refused.value.hint == 'library = { path = "../library" }'
    for more in (f'[tool.uv.sources]\nlibrary = {{ url = "file://{library}" }}\n', ""):
        by_url = bench.project("other", dependencies=("library" if more else f"library @ file://{library}",), more=more)
        with pytest.raises(EnvironmentFailedError, match="absolute path"):
            bench.provide(by_url)


def test_a_wheel_as_a_path_source_and_a_directory_as_an_index(bench: Bench) -> None:
    library = bench.project("nectar-test-library", at="elsewhere/library", handler=False)
    wheels = bench.directory / "wheels"
    uv("build", "--wheel", "--out-dir", wheels, library)
    wheel = next(wheels.glob("*.whl")).name
    by_path = bench.project(
        at="a/demo",
        dependencies=("nectar-test-library",),
        more=f'[tool.uv.sources]\nnectar-test-library = {{ path = "../../wheels/{wheel}" }}\n',
    )
    bench.lock(by_path)
    assert set(installed(bench.provide(by_path))) == {"demo", "nectar-test-library"}
    by_index = bench.project(at="b/demo", dependencies=("nectar-test-library",), more='[tool.uv]\nfind-links = ["../../wheels"]\n')
    bench.lock(by_index)
    assert set(installed(bench.provide(by_index))) == {"demo", "nectar-test-library"}


def test_nothing_there(bench: Bench) -> None:
    with pytest.raises(NotFoundError):
        bench.open(bench.directory / "nothing")
    with pytest.raises(NotFoundError, match=r"no pyproject\.toml"):
        bench.open(bench.directory)


def test_the_lines_to_add(bench: Bench) -> None:
    project = bench.project(build="")
    with pytest.raises(EnvironmentFailedError, match="build-system") as refused:
        bench.open(project)
    assert "[build-system]\n" in (refused.value.hint or "")
    project = bench.project(handler=False, code="from nectar import handler\n\n@handler\nasync def go(comp):\n    return 1\n")
    with pytest.raises(EnvironmentFailedError, match="declares no handler") as refused:
        bench.open(project)
    assert '[project.entry-points."nectar.handlers"]\n    go = "demo:go"' in (refused.value.hint or "")


def test_uv_s_own_words_for_what_cannot_be_met(bench: Bench) -> None:
    project = bench.project(dependencies=("click==0.0.0.1",))
    with pytest.raises(EnvironmentFailedError, match="could not be resolved") as failed:
        bench.provide(project)
    assert "there is no version of click==0.0.0.1" in (failed.value.detail or "")
    assert str(bench.home.builds / "demo.log") in (failed.value.where or "")
    assert bench.built() == []


def test_a_backend_s_own_words(bench: Bench) -> None:
    project = bench.project(build='[build-system]\nrequires = []\nbuild-backend = "broken"\nbackend-path = ["."]\n')
    write(project / "broken.py", "def build_wheel(*_, **__):\n    raise RuntimeError('the backend is on fire')\n")
    bench.lock(project)
    with pytest.raises(EnvironmentFailedError) as failed:
        bench.provide(project)
    assert "the backend is on fire" in (failed.value.detail or "")
    assert bench.built() == []


def test_an_entry_point_that_points_nowhere(bench: Bench) -> None:
    project = bench.project()
    text = (project / "pyproject.toml").read_text()
    write(project / "pyproject.toml", text.replace("demo:answer", "demos.core:answer"))
    with pytest.raises(EnvironmentFailedError, match=r"names the module 'demos\.core'"):
        bench.provide(project)
    assert bench.built() == []


def test_a_distribution_with_a_module_of_our_name_is_refused(bench: Bench) -> None:
    other = bench.project("impostor", at="demo/impostor", handler=False, more='[tool.uv.build-backend]\nmodule-name = "nectar"\n')
    (other / "src" / "impostor").rename(other / "src" / "nectar")
    project = bench.project(dependencies=("impostor",), more='[tool.uv.sources]\nimpostor = { path = "impostor" }\n')
    with pytest.raises(EnvironmentFailedError, match=r"impostor 1\.0 installs a module named nectar"):
        bench.provide(project)
    assert bench.built() == []


def test_too_much_data_is_refused_by_size(bench: Bench) -> None:
    project = bench.project()
    data = project / "data" / "big.bin"
    data.parent.mkdir()
    with data.open("wb") as stream:
        stream.truncate(2 * 1024**3)
    with pytest.raises(EnvironmentFailedError, match=r"2,048 MiB, of which data/big\.bin \(2,048 MiB\)") as refused:
        bench.provide(project)
    assert ".gitignore" in (refused.value.hint or "")


def test_settings_are_checked(bench: Bench) -> None:
    project = bench.project(more="[tool.nectar]\nworker = 2\n")
    with pytest.raises(UsageError, match="no setting 'worker'") as refused:
        bench.open(project)
    assert refused.value.hint == "Did you mean 'workers'?"
