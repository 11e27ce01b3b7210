"""What would steer the interpreter that a daemon runs on, or pass for nectar's marker: no distribution installs it, no build makes it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import notes, steering
from nectar.manage.environment.installed import Distribution
from nectar.manage.environment.marker import MARKER
from tests.environments.workbench import Bench, write

STEERING = [
    "../../../pyvenv.cfg",
    "../../../PyVenv.cfg",
    "../../../nectar.json",
    "../../../.nectar.json",
    "../../../nectar.files",
    "../../../nectar.source",
    "../../../nectar.source/demo.py",
    "../../../nectar.compiled",
    "../../../lib64",
    "../../../bin/python._pth",
    "../../../bin/python3._pth",
    "../../../bin/pyvenv.cfg",
    "../../../bin/pybuilddir.txt",
    "../../../bin/Modules/Setup.local",
    "../../../bin/python",
    "../../../bin/python3",
    "../../../bin/python3.13t",
    "../../../bin/pythonw",
    "../../../bin/pypy3",
    "../os.py",
    "../lib-dynload/math.so",
    "../../python311.zip",
    "../../python3.12/os.py",
    "../../libpython3.11.so.1.0",
    "../../../lib64/python3.11/os.py",
    "demo/../../os.py",
    "../../../share/../bin/python",
]
HONEST = [
    "demo/__init__.py",
    "demo/pyvenv.cfg",
    "demo/bin/python",
    "nectar.json",
    "../site-packages/demo/extra.py",
    "../../../lib64/python3.11/site-packages/demo/extra.so",
    "../../../bin/demo",
    "../../../bin/python-argcomplete-tcsh",
    "../../../bin/python-config.demo",
    "../../../bin/activate-global-python-argcomplete",
    "../../../include/site/python3.11/demo/demo.h",
    "../../../share/jupyter/nectar.json",
    "../../../etc/jupyter/demo.json",
    "../../../lib/cmake/demo.cmake",
    "../../libmkl_rt.so.2",
    "../../pkgconfig/python.pc",
]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """As much as steers of what uv makes."""
    made = tmp_path / "venv"
    (made / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (made / "bin").mkdir()
    (made / "bin" / "python").symlink_to("/usr/bin/python3")
    (made / "lib64").symlink_to("lib")
    write(made / "pyvenv.cfg", "home = /usr/bin\n")
    return made


def distribution(file: str) -> list[Distribution]:
    return [Distribution("honest", "1.0", [("honest.py", None, None)], {}), Distribution("demo", "2.0", [(file, None, None)], {})]


@pytest.mark.parametrize("file", STEERING)
def test_a_record_that_names_what_steers(venv: Path, file: str) -> None:
    with pytest.raises(
        EnvironmentFailedError, match=r"The distribution demo 2\.0 installs (bin|lib|lib64|pyvenv|PyVenv|nectar|\.nectar)"
    ):
        steering.refuse(venv, steering.look(venv), distribution(file))


@pytest.mark.parametrize("file", HONEST)
def test_a_record_that_names_anything_else(venv: Path, file: str) -> None:
    steering.refuse(venv, steering.look(venv), distribution(file))


@pytest.mark.parametrize(
    "file", ["pyvenv.cfg", "nectar.json", "bin/python", "bin/python._pth", "bin/Modules/x", "lib/python3.11/os.py", "lib64"]
)
def test_what_no_record_names(venv: Path, file: str) -> None:
    before = steering.look(venv)
    for usual in ("bin/demo", "lib/python3.11/site-packages/demo.py", "share/demo", ".lock", "lib/demo.so"):
        write(venv / usual, "")
    steering.refuse(venv, before, distribution("demo.py"))
    (venv / file).unlink(missing_ok=True)
    write(venv / file, "home = /of/an/author\n")
    with pytest.raises(EnvironmentFailedError, match="While the environment was built, something changed"):
        steering.refuse(venv, before, distribution("demo.py"))


@pytest.mark.parametrize(
    "file", ["bin/python._pth", "bin/pyvenv.cfg", "bin/python3.11", "lib/python3.11/os.py", "lib/python311.zip"]
)
def test_what_is_added_later(venv: Path, file: str) -> None:
    write(venv / "lib" / "python3.11" / "site-packages" / "demo.py", "")
    notes.write(venv, notes.take(venv))
    for usual in (MARKER, "bin/demo", "lib/python3.11/site-packages/added.py", "lib/python3.11/site-packages/__pycache__/demo.pyc"):
        write(venv / usual, "")
    assert notes.find_changed(venv) == []
    write(venv / file, "/of/an/author\n")
    assert notes.find_changed(venv) == [file]


@pytest.mark.uv
@pytest.mark.parametrize("file", ["bin/python._pth", "pyvenv.cfg"])
def test_a_wheel_that_installs_what_steers(bench: Bench, file: str) -> None:
    with pytest.raises(EnvironmentFailedError, match=f"The distribution evil 1.0 installs {file}"):
        bench.provide(wheel(bench.directory, {"evil.py": "", f"evil-1.0.data/data/{file}": "/of/an/author\n"}))
    assert bench.built() == []


@pytest.mark.uv
def test_a_build_backend_that_makes_what_steers(bench: Bench) -> None:
    project = bench.project("evil", build='[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    packed = wheel(project, {"evil.py": ""})
    write(
        project / "backend.py",
        f"""
        import os, pathlib, shutil

        def build_wheel(directory, settings=None, metadata=None):
            pathlib.Path(os.environ["UV_PROJECT_ENVIRONMENT"], "bin", "python._pth").write_text("/of/an/author\\n")
            return shutil.copy("{packed.name}", directory) and "{packed.name}"
        """,
    )
    with pytest.raises(EnvironmentFailedError, match=r"something changed bin/python\._pth"):
        bench.provide(project)


def wheel(directory: Path, files: dict[str, str]) -> Path:
    """A handler's wheel with these files and an entry point, as it may have been put together by hand."""
    info = "evil-1.0.dist-info"
    files |= {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[nectar.handlers]\nevil = evil:answer\n",
    }
    path = directory / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path
