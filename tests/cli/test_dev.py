"""Where the ``.venv`` of a project is, when there is a workspace above it: where uv makes it."""

from __future__ import annotations

import pytest

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
    assert list(made.glob("lib/*/site-packages/nectar-dev.pth"))


@pytest.mark.uv
def test_with_an_extra_that_there_is_not(world: World) -> None:
    project = world.file("one/pyproject.toml", PROJECT.format(name="one") + "[project.optional-dependencies]\nnone = []\n").parent
    assert "There are: none." in world.run("dev", f"{project}[fast]", code=2).stderr
    assert "uv sync --script" in world.run("dev", world.file("h.py"), code=2).stderr
    assert str(project / ".venv") in world.run("dev", project, "--extra", "none").stdout
