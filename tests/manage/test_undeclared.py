"""Which imports of a handler are told to be undeclared: certain ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.api.computation import ComputationResult
from nectar.manage.environment.generations import Environment
from nectar.manage.environment.marker import Marker
from nectar.manage.test import Case, tell_near
from nectar.manage.undeclared import find

if TYPE_CHECKING:
    from pathlib import Path


class Packages:
    """A site-packages, written by hand."""

    def __init__(self, venv: Path) -> None:
        self.venv = venv
        self.place = venv / "lib" / "python3.11" / "site-packages"
        self.names: list[list[str]] = []

    def add(self, name: str, files: dict[str, str], *requires: str) -> None:
        info = self.place / f"{name.replace('-', '_')}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("".join([f"Name: {name}\nVersion: 1\n", *(f"Requires-Dist: {each}\n" for each in requires)]))
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
        for path, text in files.items():
            (self.place / path).parent.mkdir(parents=True, exist_ok=True)
            (self.place / path).write_text(text)
        self.names.append([name, "1"])

    def told(self) -> list[str]:
        marker = Marker("3.11.1", "demo 1", (), (), self.names, {}, {})
        return [f"{each.module} {each.name} {each.distribution}" for each in find(Environment("k", self.venv, marker))]


def test_what_stands_at_the_top_and_comes_only_with_others(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    code = """
import json
import PIL.Image as image, six
from yaml import load
from . import six as own
import spaces.declared
import demo.other
if json:
    import urllib3
def late():
    import idna
"""
    files = {"demo/__init__.py": code, "demo/other.py": "import certifi  # but see below", "demo/broken.py": "import idna ("}
    packages.add("demo", files, 'Needed>=1; python_version > "3"', "meta", "with_extra [ Fast_One ]", 'optional; extra == "more"')
    packages.add("needed", {"needed.py": ""}, "pillow", "PyYAML", "six", "urllib3", "idna", 'unasked; extra == "x"')
    packages.add("pillow", {"PIL/__init__.py": "", "PIL/_imaging.cpython-311-x86_64-linux-gnu.so": "", "pillow.libs/x.so": ""})
    packages.add("pyyaml", {"yaml/__init__.py": "", "json/__init__.py": ""})
    packages.add("six", {"six.py": ""})
    for name in ("urllib3", "idna"):
        packages.add(name, {f"{name}/__init__.py": ""})
    packages.add("meta", {"meta-1.data/notes.txt": ""}, "certifi")
    packages.add("certifi", {"certifi/__init__.py": ""})
    packages.add("with-extra", {"with_extra.py": "", "spaces/declared.py": ""}, 'spaced; extra == "fast-one"', "undeclared-space")
    packages.add("spaced", {"spaced.py": ""})
    packages.add("undeclared-space", {"spaces/undeclared.py": ""})
    packages.add("optional", {"optional.py": ""})
    assert packages.told() == ["demo/__init__.py PIL pillow", "demo/__init__.py six six", "demo/__init__.py yaml pyyaml"]


def test_of_what_is_no_environment_nothing_is_told(tmp_path: Path) -> None:
    packages = Packages(tmp_path)
    packages.names = [["demo", "1"], ["other", "1"]]
    assert packages.told() == []
    packages.add("other", {"other.py": ""})
    assert packages.told() == []


def test_a_run_near_its_deadline() -> None:
    def told(*runs: tuple[float, float], limit: float | None = None) -> list[str]:
        cases = [Case("", {"deadline": deadline}, None) for _, deadline in runs]
        answers = [ComputationResult(comp_id="a", status="success", value=1, error=None, execution_time=took) for took, _ in runs]
        return list(tell_near(cases, answers, limit))

    assert told((1, 30), (23, 30)) == []
    (warning,) = told((25, 30), (27.5, 30), (1, 30))
    assert warning.startswith("A run took 27.5 s of the 30 s")
    assert told((1.9, 30), limit=2)[0].startswith("A run took 1.9 s of the 2 s")
    assert told((1.9, 30)) == []
