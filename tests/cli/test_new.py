"""``nectar new`` and ``nectar dev``."""

from __future__ import annotations

import resource
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from nectar.errors import NectarError
from nectar.manage.new import Wanted, new_project
from nectar.manage.uv.uv import find_uv, select_variables

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World


def contents(directory: Path) -> dict[str, bytes]:
    """Each file below a directory, ``.venv`` aside."""
    files = [path for path in directory.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_a_project_with_its_own_names(world: World) -> None:
    ended = world.run("new", "my_handler_pkg", "--no-dev", "--python", "3.12", "--description", 'It "answers".')
    project = world.directory / "my_handler_pkg"
    assert str(project) in ended.stdout
    table = tomllib.loads((project / "pyproject.toml").read_text())
    assert table["project"]["name"] == "my-handler-pkg"
    assert table["project"]["requires-python"] == ">=3.12"
    assert table["project"]["description"] == 'It "answers".'
    assert list(table["project"]["entry-points"]["nectar.handlers"].values()) == ["my_handler_pkg:answer"]
    files = contents(project)
    assert "src/my_handler_pkg/__init__.py" in files
    assert "tests/test_my_handler_pkg.py" in files
    assert not any(b"my-handler " in text or b"my_handler " in text or b"my_handler:" in text for text in files.values())
    assert [path.name for path in world.directory.iterdir()] == ["my_handler_pkg"] or sorted(
        path.name for path in world.directory.iterdir()
    ) == ["bee-hive", "my_handler_pkg"]


def test_another_name_than_the_directorys(world: World) -> None:
    world.run("new", "deep/er/here", "--no-dev", "--name", "Score Of.words")
    project = world.directory / "deep" / "er" / "here"
    assert (project / "src" / "score_of_words" / "__init__.py").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["1st"],
        ["nectar"],
        ["json"],
        ["test"],
        ["pytest"],
        ["class"],
        ["ünï"],
        ["x", "--name", "../evil"],
        ["x", "--python", "3.10"],
        ["x", "--description", "\udcff"],
        ["x", "--description", "one\ntwo"],
        [""],
        ["x.py", "--script", "--python", "2.7"],
        ["~nobody-of-this-name/x"],
    ],
)
def test_what_can_be_no_project(world: World, arguments: list[str]) -> None:
    before = sorted(world.directory.iterdir())
    world.run("new", "--no-dev", *arguments, code=2)
    assert sorted(world.directory.iterdir()) == before


def test_what_is_there_stays(world: World) -> None:
    clone = {"README.md": b"mine", ".gitignore": b"*.x", "tests/notes.txt": b"mine"}
    for name, content in clone.items():
        world.file(f"clone/{name}", content.decode())
    world.run("new", ".", "--no-dev", cwd=world.directory / "clone")
    made = contents(world.directory / "clone")
    assert made.items() >= clone.items()
    assert made.keys() >= {"pyproject.toml", "src/clone/__init__.py", "tests/test_clone.py"}
    assert "It would overwrite noxfile.py, pyproject.toml, src/" in world.run("new", "clone", "--no-dev", code=4).stderr
    assert contents(world.directory / "clone") == made
    world.file("taken/src", "mine")
    assert "It would overwrite src." in world.run("new", "taken", "--no-dev", code=4).stderr
    assert contents(world.directory / "taken") == {"src": b"mine"}
    world.file("notes.txt", "mine")
    world.run("new", "notes.txt", "--no-dev", "--name", "notes", code=4)
    (world.directory / "empty").mkdir()
    inode = (world.directory / "empty").stat().st_ino
    world.run("new", ".", "--no-dev", cwd=world.directory / "empty")
    assert (world.directory / "empty" / "pyproject.toml").exists()
    assert (world.directory / "empty").stat().st_ino == inode, "who stands in it is still there"
    world.file("script.py", "mine")
    world.run("new", "script.py", "--script", code=4)
    assert (world.directory / "script.py").read_text() == "mine"


def test_what_is_to_be_typed_next_can_be_typed(world: World) -> None:
    assert "Next: nectar test './two words'" in world.run("new", "two words", "--no-dev").stderr
    (world.directory / "a b").mkdir()
    assert f"nectar new '{world.directory}/a b/my_handler' makes one" in world.run("test", "a b", code=3).stderr
    assert "nectar test 'a b.py'." in world.run("a b.py", code=2).stderr
    assert "Say what to run" in world.run("launch", "", code=2).stderr, "a variable of the shell that is not set, say"


def test_where_a_project_cannot_be_written_that_is_said(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(NectarError, match="The project cannot be written: File too large"):
            new_project(tmp_path / "here", Wanted())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.uv
def test_a_script_can_be_tested_as_it_is(world: World) -> None:
    ended = world.run("new", "one_file", "--script", "--description", 'A "quoted" \\ one.')
    file = world.directory / "one_file.py"
    assert str(file) in ended.stdout
    assert "✅ Result: 84\n" in world.run("test", file).stdout
    assert "requires-python" in file.read_text()


@pytest.mark.uv
def test_a_new_project_is_ready(world: World) -> None:
    world.run("new", "fresh_pkg")
    project = world.directory / "fresh_pkg"
    before = contents(project)
    assert "uv.lock" in before
    world.run("dev", project)
    assert contents(project) == before
    uv = find_uv()
    ran = subprocess.run(
        [uv, "run", "pytest", "-q", "-p", "no:cacheprovider"], cwd=project, capture_output=True, text=True, env=_env(), check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
    listed = subprocess.run([uv, "pip", "list"], cwd=project, capture_output=True, text=True, env=_env(), check=True).stdout
    assert "nectar" not in listed
    assert "✅ Result: 84\n" in world.run("test", project).stdout


SPACE = """
# a comment
[tool.uv.workspace]
members = ["packages/one"]  # another
exclude = ["packages/out"]
"""


@pytest.mark.uv
@pytest.mark.once
def test_in_a_workspace_it_becomes_a_member_and_one_with_hooks_is_ready_there(world: World) -> None:
    top = world.file("space/pyproject.toml", SPACE).parent
    world.file("space/packages/one/pyproject.toml", '[project]\nname = "one"\nversion = "0"\nrequires-python = ">=3.11"\n')
    uv = find_uv()
    subprocess.run([uv, "lock", "--quiet"], cwd=top, env=_env(), check=True)
    world.run("new", "packages/two", "--hooks", cwd=top)
    said = (top / "pyproject.toml").read_text()
    assert '"packages/two"' in said
    assert "# a comment" in said
    assert "# another" in said
    assert (top / ".venv").is_dir()
    assert 'name = "two"' in (top / "uv.lock").read_text()
    command = [uv, "run", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=top / "packages" / "two", capture_output=True, text=True, env=_env(), check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "✅ Handler test passed!" in world.run("test", top / "packages" / "two", "--query", "good", "--expect", "1").stdout
    world.run("new", "packages/three", "--no-dev", "--no-workspace", cwd=top)
    assert "excluded" in world.run("new", "packages/out", "--no-dev", cwd=top).stderr
    assert (top / "pyproject.toml").read_text() == said
    world.file("space/pyproject.toml", "[tool.uv.workspace]\nmembers = 1\n")
    assert "--no-workspace" in world.run("new", "packages/four", "--no-dev", cwd=top, code=5).stderr
    assert sorted(each.name for each in (top / "packages").iterdir()) == ["one", "out", "three", "two"]
    assert "--hooks" in world.run("new", "x", "--script", "--hooks", code=2).stderr


@pytest.mark.uv
def test_dev_leaves_a_lock_that_does_not_fit_and_says_what_mends_it(world: World) -> None:
    project = world.project("stale_pkg")
    world.run("dev", project)
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace("dependencies = []", 'dependencies = ["iniconfig"]'))
    before = contents(project)
    ended = world.run("dev", project, code=5)
    assert "uv lock" in ended.stderr
    assert contents(project) == before


def test_dev_of_what_is_no_project(world: World) -> None:
    world.run("dev", "absent", code=3)
    world.file("notes.txt")
    assert "notes.txt" in world.run("dev", "notes.txt", code=2).stderr
    (world.directory / "empty").mkdir()
    assert "pyproject.toml" in world.run("dev", "empty", code=3).stderr


def _env() -> dict[str, str]:
    import os

    return select_variables(os.environ)
