"""What of a project's build system needs a wall, and what a wheel says it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.wheels.blind import make
from nectar.manage.wheels.builder import Wheel
from nectar.manage.wheels.buildsystem import BuildSystem
from nectar.manage.wheels.told import list_requirements


@pytest.mark.parametrize(
    ("said", "alone"),
    [
        ({"requires": ["uv_build"], "build-backend": "uv_build"}, True),
        ({"requires": [" uv-build >=0.9,<100 "], "build-backend": "uv_build"}, True),
        ({"requires": ["uv_build; python_version > '3'"], "build-backend": "uv_build"}, False),
        ({"requires": ["uv_build[more]"], "build-backend": "uv_build"}, False),
        ({"requires": ["uv_build @ https://host/uv_build.whl"], "build-backend": "uv_build"}, False),
        ({"requires": ["uv_build_more"], "build-backend": "uv_build"}, False),
        ({"requires": ["uv_build", "other"], "build-backend": "uv_build"}, False),
        ({"requires": [], "build-backend": "uv_build"}, False),
        ({"requires": ["uv_build"], "build-backend": "uv_build:more"}, False),
        ({"requires": ["uv_build"], "build-backend": "uv_build", "backend-path": ["."]}, False),
        ({"requires": ["uv_build"]}, False),
        (None, False),
    ],
)
def test_what_uv_builds_by_itself(said: dict[str, Any] | None, alone: bool) -> None:
    table = {} if said is None else {"build-system": said}
    assert BuildSystem.read(table, "demo").is_uvs is alone


@pytest.mark.parametrize("said", [{}, {"requires": "x"}, {"requires": [], "build-backend": 1}, "x"])
def test_a_build_system_that_says_nothing(said: object) -> None:
    with pytest.raises(EnvironmentFailedError, match="demo does not say what builds it"):
        BuildSystem.read({"build-system": said}, "demo")


@pytest.mark.parametrize(
    ("line", "always", "more"),
    [
        ("six>=1", ["six>=1"], []),
        ("six ; python_version < '3.9'", ["six ; python_version < '3.9'"], []),
        ("six>=1; extra == 'more'", [], ["six>=1"]),
        ('six; (os_name == "nt" or os_name == "x") and extra == "more"', [], ['six; (os_name == "nt" or os_name == "x")']),
        ("six; extra == 'more' and os_name == 'nt'", [], ["six; os_name == 'nt'"]),
        ("six @ https://host/six.whl ; extra == 'more'", [], ["six @ https://host/six.whl"]),
    ],
)
def test_what_a_wheel_needs(line: str, always: list[str], more: list[str]) -> None:
    said = Message()
    said["Provides-Extra"] = "more"
    said["Requires-Dist"] = line
    assert list_requirements(Wheel(Path("x.whl"), "x", "1", said)) == (always, {"more": more})


def test_a_python_that_says_once_what_it_is_and_runs_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "a & b#c\\ 'd'"
    directory.mkdir()
    code = f"import sys; sys.path = [{str(tmp_path)!r}] + sys.path; from python.get_interpreter_info import main; main()"
    said = '{"sys_prefix": "/x", "sys_executable": "/x/bin/python", "sys_base_executable": "/y"}'
    write(tmp_path / "python" / "get_interpreter_info.py", f"def main():\n    print('''{said}''')\n")
    for tried in (["-c", "print(1)"], ["-I", "-B", "-c", "print(1)"], ["-m", "x"]):
        blind = make(directory, Path(sys.executable))
        assert run(blind, *tried) == "" == run(blind, "-I", "-B", "-c", code), "whatever was asked first was asked"
        shutil.rmtree(f"{blind}.asked")
    assert json.loads(run(blind, "-I", "-B", "-c", code)) == {
        "sys_prefix": "/x",
        "sys_executable": str(blind),
        "sys_base_executable": str(blind),
    }
    assert run(blind, "-I", "-B", "-c", code) == ""


def run(program: Path, *arguments: str) -> str:
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False).stdout


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
