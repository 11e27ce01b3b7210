"""What a traceback, a place and the log call a handler's files: as their author does, and with the lines that have run."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.origins import FILE, Origins
from nectar.runtime.worker.own import Own
from tests.environments.workbench import UV_BUILD, uv, write
from tests.world import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = pytest.mark.uv

PROJECT = """
    [project]
    name = "outer"
    version = "1"
    requires-python = ">=3.11"
    dependencies = ["inner"]

    [project.entry-points."nectar.handlers"]
    outer = "outer.parts.answers:answer"

    [tool.uv.sources]
    inner = {path = "../inner"}
"""
ANSWERS = """
    import logging, warnings
    from inner import read
    from nectar import handler

    @handler
    def answer(comp):
        if comp.query == "import":
            from inner import nothing
        if comp.query == "print":
            try:
                return read("eight")
            except ValueError:
                logging.exception("not")
                warnings.warn("perhaps")
                print(__file__)
                return 1
        return read(comp.query)
"""


def make(world: World) -> Path:
    """A project with a dependency beside it."""
    inner = world.file("inner/src/inner/__init__.py", "def read(text):\n    return int(text)\n").parents[2]
    write(inner / "pyproject.toml", f'[project]\nname = "inner"\nversion = "1"\nrequires-python = ">=3.11"\n{UV_BUILD}')
    project = world.file("outer/pyproject.toml", PROJECT).parent
    with (project / "pyproject.toml").open("a") as file:
        file.write(UV_BUILD)
    write(project / "src" / "outer" / "parts" / "answers.py", ANSWERS)
    for package in ("outer", "outer/parts"):
        write(project / "src" / package / "__init__.py", "")
    uv("lock", "--project", project)
    return project


def test_a_projects_files_are_the_authors(world: World) -> None:
    project = make(world)
    answers, inner = project / "src/outer/parts/answers.py", world.directory / "inner/src/inner/__init__.py"
    world.node()
    world.run("launch", project, "--attach", "alice")
    before = inner.read_text()
    write(inner, "# later\n\n\n" + before)  # what has run is what is shown
    world.put("a", "seven")
    assert world.answer("a")["error"] == "ValueError: invalid literal for int() with base 10: 'seven'"
    world.put("b", "import")
    assert world.answer("b")["error"] == f"ImportError: cannot import name 'nothing' from 'inner' ({inner})"
    log = world.home.log("outer")
    until(lambda: "'inner' (" in log.read_text(), "the log tells of both")
    assert f'File "{answers}", line 18, in answer' in log.read_text()
    assert f'File "{inner}", line 2, in read' in log.read_text()
    assert "    return int(text)" in log.read_text()
    assert "site-packages" not in log.read_text()
    world.put("c", "print")
    assert world.answer("c")["status"] == "success"
    until(lambda: "/answers.py\n" in log.read_text(), "it was printed")
    assert f'File "{answers}", line 12, in answer' in log.read_text()
    assert f"{answers}:15: UserWarning: perhaps" in log.read_text()
    (copy,) = [line for line in log.read_text().splitlines() if "site-packages" in line]
    assert copy.endswith("/site-packages/outer/parts/answers.py")  # which it printed itself

    write(inner, before)
    write(answers, ANSWERS.replace("@handler", "@handler("))
    failed = world.json("test", project, code=1)
    assert f'File "{answers}", line 6' in failed["error"]["detail"]
    write(answers, ANSWERS.replace("@handler", ""))
    failed = world.json("test", project, code=1)
    assert failed["error"]["where"] == f"{answers}, line 7"


def test_a_wheels_are_those_of_the_environment(world: World) -> None:
    project = world.project()
    code = project / "src" / "my_handler_pkg" / "__init__.py"
    code.write_text(code.read_text().replace("return", "return 1 / 0 +"))
    uv("build", "--wheel", "--out-dir", world.directory, project)
    shutil.rmtree(project)
    (wheel,) = world.directory.glob("*.whl")
    assert "/site-packages/my_handler_pkg/__init__.py" in world.json("test", wheel, code=1)["error"]["detail"]


def test_of_a_single_file_the_lines_are_those_that_have_run(world: World) -> None:
    file = world.file("h.py", "from nectar import handler\n@handler\ndef h(comp):\n    return 1 // (len(comp.query) - 3)\n")
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    write(file, "\n" * 3 + "something = 'else'\n")
    world.put("a", "abc")
    assert world.answer("a")["status"] == "error"
    until(lambda: "ZeroDivisionError: " in world.home.log("h").read_text(), "it is in the log")
    log = world.home.log("h").read_text()
    assert f'File "{file}", line 4, in h' in log
    assert "    return 1 // (len(comp.query) - 3)" in log
    assert "something" not in log


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"schema": 2, "files": {"lib/a.py": "src/a.py"}}', '{"schema": 1, "files": 7}', b"\xff", None],
)
def test_where_nothing_was_noted_they_are_those_of_the_environment(tmp_path: Path, content: str | bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content if isinstance(content, bytes) else content.encode())
    own = Own()
    own.tell(str(tmp_path), "/home/a/h", str(tmp_path / "manifest.json"))
    own.settle_lines()
    assert own.name_in(f'File "{tmp_path}/lib/a.py", line 3') == f'File "{tmp_path}/lib/a.py", line 3'


def test_what_is_noted_is_named_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "h").symlink_to(tmp_path / "really" / "h")
    (tmp_path / FILE).write_text(json.dumps({"schema": 1, "files": {"lib/a.py": "src/a.py", "lib/b.py": "../b/b.py"}}))
    origins = Origins(str(tmp_path), str(tmp_path / "h"))
    text = f'"{tmp_path}/lib/a.py" ({tmp_path}/lib/b.py) {tmp_path}/lib/c.py {tmp_path}/lib/a.pyx'
    named = f'"{tmp_path}/h/src/a.py" ({tmp_path}/really/b/b.py) {tmp_path}/lib/c.py {tmp_path}/lib/a.pyx'
    assert origins.name_in(text) == named
    lines = 'File "{}/a.py", line 3; {}/a.py:3: UserWarning: {}'
    there, copy = f"{tmp_path}/h/src", f"{tmp_path}/lib"
    assert origins.name_lines_in(lines.format(copy, copy, f"{copy}/a.py")) == lines.format(there, there, f"{copy}/a.py")
    assert origins.name_in(f"{tmp_path}/ {copy}/a.py") == f"{tmp_path}/ {there}/a.py"
