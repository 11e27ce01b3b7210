"""A single file is a handler whatever it is called, and hides nothing by its name."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from nectar.manage.source.script import module_name
from nectar.runtime.worker import snapshot
from tests.environments.workbench import uv
from tests.world import World

NAMES = [
    ("mine", "mine"),
    ("my-handler", "my_handler"),
    ("1st", "_1st"),
    ("class", "class"),
    ("a b", "a_b"),
    ("ä", "ä"),
    ("json", "json_file"),
    ("nectar", "nectar_file"),
    ("__main__", "__main___file"),
    ("_nectar_file", "_nectar_file_file"),
]


@pytest.mark.parametrize(("stem", "module"), NAMES)
def test_the_name_of_a_file_s_module(stem: str, module: str) -> None:
    assert module_name(Path(f"{stem}.py")) == module


LOADING = """
import json, sys
sys.path[:0] = [{api!r}]
sys.path.append({packages!r})
from nectar.runtime.worker import snapshot
print(json.dumps(snapshot.install({manifest!r}, {directory!r})))
import {sibling} as sibling
"""


def loading(tmp_path: Path, stem: str, module: str, *, packages: tuple[str, ...] = (), sibling: str) -> list[str]:
    """What a process prints that imports a module beside a file, and by that the file."""
    (tmp_path / "packages").mkdir()
    for name in packages:
        (tmp_path / "packages" / f"{name}.py").write_text("print('the distribution', __name__)\n")
    texts = {module: "print('the file', __name__)\nTHING = object()\n", "beside": sibling}
    manifest = {
        "entry": module,
        "modules": {
            name: {"file": f"{name}.txt", "origin": f"{name if name == 'beside' else stem}.py", "package": False} for name in texts
        },
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(textwrap.dedent(text))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    script = LOADING.format(
        api=str(Path(snapshot.__file__).parents[2]),
        packages=str(tmp_path / "packages"),
        manifest=str(tmp_path / "manifest.json"),
        directory=str(tmp_path),
        sibling="beside",
    )
    ended = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_module_beside_a_file_imports_it_by_its_name(tmp_path: Path) -> None:
    said = loading(tmp_path, "mine", "mine", sibling="import mine\nprint(mine.__spec__.name)\n")
    assert said == ['{"mine": "mine"}', "the file mine", "mine"]


def test_a_file_that_has_another_name_is_there_once(tmp_path: Path) -> None:
    """As one is that was named with a Python in whose standard library there was a module of its name."""
    text = "import mine, mine_file\nprint(mine is mine_file, mine.__spec__.name, mine.__name__)\n"
    said = loading(tmp_path, "mine", "mine_file", sibling=text)
    assert said == ['{"mine_file": "mine_file"}', "the file mine_file", "True mine_file mine_file"]


def test_a_file_that_is_called_as_a_distribution(tmp_path: Path) -> None:
    text = "import other, other_file_file\nprint(other is other_file_file)\n"
    said = loading(tmp_path, "other", "other", packages=("other", "other_file"), sibling=text)
    assert said == ['{"other": "other_file_file"}', "the distribution other", "the file other_file_file", "False"]


POOLED = """
    # /// script
    # dependencies = ["requests"]
    # [tool.uv.sources]
    # requests = { path = "requests-1.0-py3-none-any.whl" }
    # ///
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    import requests
    from nectar import Computation, handler

    def add(number: int) -> int:
        return number + requests.VALUE

    @handler
    def analyze(comp: Computation) -> int:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(comp.query)) as pool:
            return sum(pool.map(add, range(3)))
"""


@pytest.mark.uv
def test_a_file_that_is_called_as_what_it_depends_on(world: World) -> None:
    with zipfile.ZipFile(world.file("files/x", "").parent / "requests-1.0-py3-none-any.whl", "w") as wheel:
        info = "requests-1.0.dist-info"
        wheel.writestr("requests.py", "VALUE = 100\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: requests\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"requests.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    file = world.file("files/requests.py", POOLED)
    uv("lock", "--script", file, "--offline")
    for way in ("fork", "spawn", "forkserver"):
        world.run("test", file, "--query", way, "--expect", "303", env={"UV_OFFLINE": "1"})


@pytest.mark.uv
@pytest.mark.parametrize("stem", ["__main__", "json", "nectar", "class", "1st"])
def test_whatever_it_is_called(world: World, stem: str) -> None:
    file = world.file(f"files/{stem}.py")  # no name for the directory of the command
    world.run("test", file, "--query", "abc", "--expect", "6", env={"UV_OFFLINE": "1"})
