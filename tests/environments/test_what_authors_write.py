"""Whatever a project, a single file or a file beside it says, it is understood or said to be wrong: nothing of it is a bug of nectar's."""

from __future__ import annotations

import copy
import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from nectar.errors import EnvironmentFailedError, NectarError, NotFoundError, UsageError
from nectar.manage.daemon import given
from nectar.manage.source import pyproject
from nectar.manage.source.source import open_source
from tests.environments.workbench import Bench
from tests.world import World

PROJECT: dict[str, Any] = {
    "project": {
        "name": "demo",
        "version": "1.0",
        "requires-python": ">=3.11",
        "dependencies": ["x"],
        "entry-points": {"nectar.handlers": {"demo": "demo:answer"}},
    },
    "build-system": {"requires": ["uv_build"], "build-backend": "uv_build"},
    "tool": {"nectar": {}, "uv": {}},
}
FIELDS = [
    "project",
    "project name",
    "project requires-python",
    "project dependencies",
    "project dynamic",
    "project optional-dependencies",
    "project entry-points",
    "project entry-points nectar.handlers",
    "project entry-points nectar.handlers demo",
    "build-system",
    "build-system requires",
    "tool",
    "tool nectar",
    "tool nectar workers",
    "tool nectar deadline",
    "tool nectar expired",
    "tool nectar memory_limit",
    "tool nectar env",
    "tool nectar pass_env",
    "tool nectar nonsense",
    "tool poetry",
    "tool uv",
    "tool uv package",
    "tool uv sources",
    "tool uv sources x",
    "tool uv index",
    "tool uv find-links",
    "tool uv index-url",
    "tool uv cache-keys",
    "tool uv workspace",
    "tool uv workspace members",
    "tool uv workspace exclude",
]
VALUES: list[object] = [
    3,
    float("inf"),
    float("nan"),
    True,
    "",
    "a\0b",
    "a\nb",
    "--help",
    "é" * 5000,
    dt.date(2000, 1, 1),
    [],
    [3, "a\0b", "", "x" * 5000, "[", [[]]],
    ["/", ".", "**/" * 9 + "*"],
    {"x": 3, "a\0b": [], "members": [""]},
    {"path": "x" * 5000, "url": "file://[/"},
    {"url": "file://[/"},
    [{"file": "."}, {"file": "\0"}, {"file": "x" * 5000}, {"env": "="}, {"dir": "\0"}, {"url": "http://[bad"}, {"path": 3}],
]


def odd(base: dict[str, Any], field: str, value: object) -> dict[str, Any]:
    table = copy.deepcopy(base)
    place = table
    *path, last = field.split()
    for part in path:
        place = place.setdefault(part, {})
    place[last] = value
    return table


def attempt(path: Path) -> None:
    try:
        open_source(path).plan().digests()
    except NectarError as error:
        assert error.message
    except OSError as error:  # which is one that can be told
        assert error.strerror


@pytest.mark.once
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_odd(field: str, bench: Bench) -> None:
    place = bench.project("demo")
    script = bench.file("files/mine.py", "")
    single = {**PROJECT["project"], "tool": PROJECT["tool"]}
    for value in VALUES:
        (place / "pyproject.toml").write_text(tomli_w.dumps(odd(PROJECT, field, value)), encoding="utf-8")
        attempt(place)
        if field.startswith("project ") and "python" not in field and "dependencies" not in field:
            continue  # which no single file has
        text = tomli_w.dumps(odd(single, field.removeprefix("project "), value))
        script.write_text("# /// script\n" + "".join(f"# {line}\n" for line in text.split("\n")) + "# ///\n", encoding="utf-8")
        attempt(script)


@pytest.mark.once
@pytest.mark.parametrize("name", ["pyproject.toml", "uv.toml", ".python-version", "uv.lock", "src/demo/__init__.py"])
@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.name),
        lambda path: path.write_bytes(b"a = " + b"[" * 5000),
        lambda path: path.write_bytes(b"\xff\xfe\0"),
    ],
)
def test_a_file_that_is_odd(name: str, make: Callable[[Path], object], bench: Bench) -> None:
    path = bench.project("demo") / name
    path.unlink(missing_ok=True)
    make(path)
    attempt(bench.directory / "demo")


@pytest.mark.parametrize(
    "name", ["mine.py", "mine.py.lock", "helper.py", "helper/__init__.py", "pyproject.toml", ".python-version"]
)
@pytest.mark.parametrize(
    "make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: path.write_bytes(b"\xff\0")]
)
def test_a_single_file_with_what_is_odd(name: str, make: Callable[[Path], object], bench: Bench) -> None:
    file = bench.file("files/mine.py", "import helper\n")
    path = file.parent / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    make(path)
    attempt(file)


@pytest.mark.parametrize(
    ("files", "said", "lines"),
    [
        (
            {"pyproject.toml": '[tool.poetry]\nname = "My.Thing"\nversion = "2.1"\n'},
            "no \\[project\\] table",
            ['name = "my-thing"', '"2.1"'],
        ),
        ({"pyproject.toml": "[build-system]\nrequires = []\n", "setup.cfg": ""}, "no \\[project\\] table", ['name = "demo"']),
        ({"pyproject.toml": "project = 3\n"}, "no \\[project\\] table", ["[build-system]"]),
        ({"setup.py": ""}, "no pyproject.toml", ["What setup.py says", "[project]", "[build-system]"]),
        ({"setup.py": "", "setup.cfg": ""}, "no pyproject.toml", ["setup.py and setup.cfg"]),
        ({"pyproject.toml": "[project]\n"}, "has no name", ['name = "demo"']),
        ({"pyproject.toml": '[project]\nname = "a b"\n'}, "no name of a distribution", ['"a-b"']),
    ],
)
def test_a_project_of_another_kind(files: dict[str, str], said: str, lines: list[str], bench: Bench) -> None:
    for name, text in files.items():
        bench.file(f"demo/{name}", text)
    bench.file("demo/demo.py", "@handler\n" * 50_000 + "\n@handler\ndef answer(comp):\n    return 1\n")
    with pytest.raises((EnvironmentFailedError, NotFoundError), match=said) as caught:
        pyproject.open_handler(bench.directory / "demo")
    assert all(line in (caught.value.hint or "") for line in lines)
    assert "name of a" in said or "has no name" in said or 'answer = "demo:answer"' in (caught.value.hint or "")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfK=v\r\n", b"K=v", b"export K='v'\r"])
def test_a_file_with_variables(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(content)
    assert given.read_file(tmp_path / "env") == {"K": "v"}


def test_a_file_with_variables_that_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "absent"):
        with pytest.raises(NotFoundError, match="cannot be read"):
            given.read_file(path)
    (tmp_path / "env").write_text("K=v", encoding="utf-16")
    with pytest.raises(UsageError, match="UTF-16"):
        given.read_file(tmp_path / "env")


@pytest.mark.uv
@pytest.mark.parametrize("kind", ["loop", "file", "empty", "broken"])
def test_a_venv_that_is_broken(kind: str, bench: Bench, world: World) -> None:
    place = bench.project("demo")
    venv = place / ".venv"
    if kind == "loop":
        venv.symlink_to(".venv")
    elif kind == "file":
        venv.write_text("")
    else:
        (venv / "bin").mkdir(parents=True)
        if kind == "broken":
            (venv / "pyvenv.cfg").write_text("home = /nowhere\n")
            (venv / "bin" / "python").write_text("#!/bin/sh\necho nothing\n")
            (venv / "bin" / "python").chmod(0o755)
    ended = world.run("dev", place, code=None, env={"UV_OFFLINE": "1"})
    assert ended.returncode in (0, 5), ended.stderr
    assert "bug" not in ended.stderr


@pytest.mark.uv
def test_all_begin_with_a_byte_order_mark(bench: Bench, world: World) -> None:
    place = bench.project("demo", code="from nectar import handler\n\n@handler\ndef answer(comp):\n    return 1\n")
    (place / ".python-version").write_text("3\n")
    file = bench.file(
        "files/mine.py", '# /// script\n# requires-python = ">=3.11"\n# ///\nimport helper\nfrom nectar import handler\n'
    )
    file.write_text(file.read_text() + "\n@handler\ndef answer(comp):\n    return helper.ONE\n")
    bench.file("files/helper.py", "ONE = 1\n")
    for path in [*place.rglob("*.*"), *file.parent.iterdir()]:
        if path.is_file():
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    for handler in (place, file):
        world.run("test", handler, "--expect", "1", env={"UV_OFFLINE": "1"})
