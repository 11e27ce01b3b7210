"""Where the ``.venv`` of a project is, when there is a workspace above it: where uv makes it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nectar.manage.uv.uv import find_uv, select_variables
from tests.world import World

PROJECT = '[project]\nname = "{name}"\nversion = "0"\nrequires-python = ">=3.11"\n'


@pytest.mark.uv
@pytest.mark.parametrize(
    ("workspace", "project", "venv"),
    [
        ('members = ["packages/one"]', "packages/one", "."),
        ('members = ["packages/*"]', "packages/one", "."),
        ('members = ["packages/*"]', ".", "."),
        ('members = ["packages/two"]', "packages/one", "packages/one"),
        ('members = ["packages/*"]\nexclude = ["packages/one"]', "packages/one", "packages/one"),
        ("members = []", "packages/one", "packages/one"),
        ("", "packages/one", "packages/one"),
        ('members = ["packages/*"]', "link", "."),
        ('members = ["packages/*"]\nexclude = ["packages/one"]', "link", "packages/one"),
    ],
)
def test_a_project_below_a_workspace(world: World, workspace: str, project: str, venv: str) -> None:
    top = world.directory / "space"
    world.file("space/pyproject.toml", PROJECT.format(name="space") + (f"[tool.uv.workspace]\n{workspace}\n" if workspace else ""))
    for name in ("one", "two"):
        world.file(f"space/packages/{name}/pyproject.toml", PROJECT.format(name=name))
    (top / "link").symlink_to("packages/one")
    ended = world.run("dev", top / project)
    made = (top / venv / ".venv").resolve()
    assert str(made) in ended.stdout
    assert sorted(path.parent for path in top.glob("**/pyvenv.cfg")) == [made]
    (paths,) = made.glob("lib/*/site-packages/nectar-dev.pth")
    assert paths.read_text().splitlines()[-1] == f"# nectar: {sys.executable}"  # with which tests launch


@pytest.mark.uv
def test_with_an_extra_that_there_is_not(world: World) -> None:
    project = world.file("one/pyproject.toml", PROJECT.format(name="one") + "[project.optional-dependencies]\nnone = []\n").parent
    assert "There are: none." in world.run("dev", f"{project}[fast]", code=2).stderr
    assert "A single file has no extras" in world.run("dev", world.file("h.py"), "--extra", "fast", code=2).stderr
    assert str(project / ".venv") in world.run("dev", project, "--extra", "none").stdout


FILE = """
    # /// script
    # dependencies = ["iniconfig"]
    # ///
    import iniconfig
    from nectar import Computation, handler

    @handler
    def answer(comp: Computation) -> int:
        return len(comp.query)
"""
FILES_TEST = """
    from single import answer
    from nectar.testing import ask

    def test_its_length(computation):
        assert ask(answer, computation(query="abc")) == 3
"""


@pytest.mark.uv
@pytest.mark.once
def test_a_single_file_has_one_beside_it(world: World) -> None:
    file = world.file("alone/single.py", FILE)
    world.file("alone/test_single.py", FILES_TEST)
    venv = file.parent / ".venv"
    assert str(venv) in world.run("dev", file).stdout
    command = [find_uv(), "run", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, env=select_variables(os.environ), check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout

    def installed() -> set[str]:
        return {path.name.partition("-")[0] for path in venv.glob("lib/*/site-packages/*.dist-info")}

    assert installed() >= {"iniconfig", "pytest"}
    assert not installed() & {"single_file", "bee_hive_nectar"}
    # A dependency that pytest cannot live with is the file's all the same.
    world.file("alone/single.py", FILE.replace('iniconfig"', 'pluggy==0.13.1"'))
    ended = world.run("dev", file)
    assert "Without pytest" in ended.stderr
    assert installed() == {"pluggy"}
    other = world.file("alone/other.py", FILE)
    assert "is that of single.py" in world.run("dev", other, code=4).stderr
    file.rename(world.directory / "gone.py")
    (venv / "nectar-file").unlink()
    assert "none that nectar has made" in world.run("dev", other, code=4).stderr
    world.file("alone/pyproject.toml", PROJECT.format(name="alone"))
    assert "nectar dev" in world.run("dev", other, code=4).stderr
    assert installed() == {"pluggy"}
