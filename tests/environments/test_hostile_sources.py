"""Sources that mean harm, through the real command line: nothing outside their build is written, or read into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.home import Home
from tests import needs
from tests.environments.workbench import UV_BUILD, Bench, snapshot, write
from tests.world import World

pytestmark = pytest.mark.uv

SECRET = "the-launching-shells-own-secret"
NONE_FITS = 'requires-python = ">=3.99"\n'
FITS = 'requires-python = ">=3.11"\n'


def project(place: Path, *, requires: str = FITS, more: str = "", package: str = "demo") -> Path:
    entry = f'[project.entry-points."nectar.handlers"]\ndemo = "{package}:answer"\n'
    write(place / "pyproject.toml", f'[project]\nname = "demo"\nversion = "1"\n{requires}{entry}{UV_BUILD}{more}')
    write(
        place / "src" / "demo" / "__init__.py", "from nectar import handler\n\n\n@handler\ndef answer(comp) -> int:\n    return 1\n"
    )
    return place


@pytest.fixture
def user(fresh: World) -> Path:
    """A user's home, in which the data dir, the project and all else lie."""
    write(fresh.directory / ".bashrc", "alias the-users-own-settings\n")
    fresh.home.create()
    write(fresh.home.registry, '{"schema": 1, "handlers": {}}\n')
    return fresh.directory


def run(world: World, *arguments: str | Path, code: int) -> str:
    ended = world.run(*arguments, code=code, env={"HOME": str(world.directory), "GITHUB_TOKEN": SECRET})
    return ended.stdout + ended.stderr


def kept(home: Home, user: Path) -> dict[str, object]:
    """All that lies in a home, but for what a build is made of."""
    of_builds = (home.builds, home.envs / ".locks", home.resolutions, home.runtimes)
    skipped = tuple(str(path.relative_to(user)) for path in of_builds)
    return {name: (entry[0], entry[2]) for name, entry in snapshot(user).items() if not name.startswith(skipped)}


@pytest.mark.parametrize(
    "key",
    [
        "x/../../../../../../.bashrc",  # the tree is five directories deep in the build: below the clone's top, and the home
        "x/../../../../handlers.json",
        "../../../../.bashrc",
        "a/demo/__init__.py",
        "a/**/*.py",
    ],
)
def test_a_cache_key_writes_nothing_outside_the_build(fresh: World, user: Path, key: str) -> None:
    name = "f3e58662ba09ce5c6338"
    victim = write(fresh.home.envs / name / "lib" / "site-packages" / "demo" / "__init__.py", "the victim's\n")
    clone = user / "clone"
    place = clone / "1" / "2" / "3" / name / "lib"  # which is called as the victim's environment is
    project(place, requires=NONE_FITS, more=f'[tool.uv]\ncache-keys = [{{ file = "{key}" }}]\n')
    write(place / "x" / "y", "\n")
    for depth in (clone, clone / "1" / "2" / "3", clone / "1" / "2", clone / "1"):
        write(depth / ".bashrc", "replaced\n")
        write(depth / "handlers.json", "replaced\n")
    write(place / "site-packages" / "demo" / "__init__.py", "replaced\n")
    (place / "a").symlink_to(f"../../{name}/lib/site-packages")
    before = kept(fresh.home, user)
    said = run(fresh, "test", place, code=5)
    assert "No Python" in said
    assert victim.read_text() == "the victim's\n"
    assert kept(fresh.home, user) == before


@needs.kernel_files
def test_the_shell_s_secrets_come_into_no_environment(fresh: World, user: Path) -> None:
    place = project(user / "demo")
    (place / "src" / "demo" / "env.txt").symlink_to("/proc/self/environ")
    (place / "src" / "demo" / "rc.txt").symlink_to("../../../.bashrc")
    (place / "src" / "demo" / "own.txt").symlink_to("__init__.py")
    said = run(fresh, "test", place, code=0)
    for name, leads in (("env.txt", "environ"), ("rc.txt", ".bashrc")):
        line = next(line for line in said.splitlines() if name in line)
        assert leads in line
        assert "the handler runs in the project's directory" in line
    files = [path for path in fresh.home.nectar.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if path.name == "own.txt"]
    for secret in (SECRET, "the-users-own-settings"):
        assert not [path for path in files if secret.encode() in path.read_bytes()]
    # What fails says it, too: the reason may be there.
    write(place / "pyproject.toml", (place / "pyproject.toml").read_text().replace('"demo:answer"', '"demo.missing:answer"'))
    said = run(fresh, "test", place, code=5)
    assert "does not install" in said
    assert said.count("env.txt") == said.count("rc.txt") == 1


def test_a_single_file_takes_no_module_that_is_a_link_out(fresh: World, user: Path) -> None:
    write(user / "elsewhere" / "secret", f"{SECRET}\n")
    code = "import beside, package.env\nfrom nectar import handler\n\n\n@handler\ndef answer(comp) -> int:\n    return 1\n"
    file = write(user / "files" / "h.py", code)
    write(user / "files" / "package" / "__init__.py", "")
    write(user / "files" / "package" / "..py", "not a module\n")
    (user / "files" / "beside.py").symlink_to("../elsewhere/secret")
    (user / "files" / "package" / "env.py").symlink_to("/proc/self/environ" if os.path.exists("/proc") else "/nowhere")
    said = run(fresh, "test", file, code=1)
    assert f"Left out: {user / 'files' / 'beside.py'}" in said
    for path in fresh.home.nectar.rglob("*"):
        assert path.is_symlink() or not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_a_project_whose_own_file_is_a_link_out_of_it_is_told_so(bench: Bench) -> None:
    project = bench.project(at="demo")
    (project / "pyproject.toml").rename(bench.directory / "common.toml")
    (project / "pyproject.toml").symlink_to("../common.toml")
    with pytest.raises(EnvironmentFailedError, match=r"pyproject\.toml is a link") as refused:
        bench.find(project)
    assert "which lies outside the project" in (refused.value.detail or "")
