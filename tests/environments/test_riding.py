"""Nectar's own side: made once for a Python, from what is installed beside this nectar, and complete."""

from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nectar
from nectar.home import Home
from nectar.manage.environment import sidecar
from tests import pythons

OURS = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_it_is_made_once_for_each_python(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: sidecar.provide_runtime(home, "3.11.7"), range(4)))
    (one,) = found
    assert one == sidecar.provide_runtime(home, "3.11")
    assert one.name.startswith(f"{nectar.__version__}+")
    assert one.name.endswith("-3.11")
    assert sidecar.provide_runtime(home, "3.12") != one
    assert sorted(path.name for path in home.runtimes.iterdir()) == sorted([one.name, sidecar.provide_runtime(home, "3.12").name])
    assert sidecar.start_script(one).is_file()


@pytest.mark.parametrize("version", pythons.SUPPORTED)
def test_the_daemon_s_imports_work_without_site(tmp_path: Path, version: str) -> None:
    python = pythons.require(version)
    place = sidecar.provide_runtime(Home(tmp_path), version)
    code = f"import sys; sys.path[:0] = [{str(place / 'api')!r}, {str(place / 'deps')!r}]; import nectar, watchdog.observers, pluggy; print(nectar.__file__)"
    ended = subprocess.run([python, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).is_relative_to(place)


def test_its_dist_info_says_who_we_are(tmp_path: Path) -> None:
    place = sidecar.provide_runtime(Home(tmp_path), "3.11")
    code = f"import importlib.metadata as m; (d,) = m.distributions(path=[{str(place / 'meta')!r}]); print(d.name, d.version)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == [sidecar.DISTRIBUTION, nectar.__version__]


def test_a_changed_checkout_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "data")
    one = sidecar.provide_runtime(home, "3.11")
    checkout = use_a_checkout(tmp_path, monkeypatch)
    assert sidecar.provide_runtime(home, "3.11") == one
    (checkout / "errors.py").write_text((checkout / "errors.py").read_text() + "\n# changed\n")
    other = sidecar.provide_runtime(home, "3.11")
    assert other != one
    assert one.is_dir()
    assert (other / "api" / "nectar" / "errors.py").read_text().endswith("# changed\n")


def test_it_holds_nothing_of_the_commands_and_needs_nothing_of_them(tmp_path: Path) -> None:
    place = sidecar.provide_runtime(Home(tmp_path), OURS)
    assert not {"cli", "manage"}.intersection(path.name for path in (place / "api" / "nectar").iterdir())
    modules = {path.relative_to(place / "api").with_suffix("") for path in (place / "api" / "nectar").rglob("*.py")}
    wanting = {"testing", "dask", "nectar_preload"}  # pytest, or what Dask needs
    names = [".".join(module.parts) for module in modules if wanting.isdisjoint(module.parts)]
    code = f"import importlib, sys; sys.path += {[str(place / 'api'), str(place / 'deps')]}; [*map(importlib.import_module, {sorted(names)})]"
    ended = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, ended.stderr


def test_bytecode_is_taken_along_where_it_is_of_what_was_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = use_a_checkout(tmp_path, monkeypatch)
    second = 1_700_000_000 * 1_000_000_000
    for number, name in enumerate(("errors.py", "frozen.py", "proc.py")):
        os.utime(checkout / name, ns=(second, second))
        compiled = Path(py_compile.compile(str(checkout / name)) or "")
        os.utime(compiled, ns=(second + 5, second + 5))
        if number == 1:  # the module is written once more within that second, and is as long as it was
            (checkout / name).write_text((checkout / name).read_text().replace("frozen", "fr0zen"))
            os.utime(checkout / name, ns=(second + 9, second + 9))
        elif number == 2:
            compiled.write_bytes(b"other" + compiled.read_bytes()[5:])
    api = sidecar.provide_runtime(Home(tmp_path / "data"), OURS) / "api"
    assert [path.name.partition(".")[0] for path in api.rglob("*.pyc")] == ["errors"]
    code = f"import sys; sys.path[:0] = [{str(api)!r}]; import nectar.errors; print(nectar.errors.NectarError.__init__.__code__.co_filename)"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-v", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert f"matches {api / 'nectar' / 'errors.py'}" in ended.stderr
    assert ended.stdout.strip() == str(api / "nectar" / "errors.py")


def test_bytecode_of_another_python_is_left_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py_compile.compile(str(use_a_checkout(tmp_path, monkeypatch) / "errors.py"))
    other = next(version for version in pythons.SUPPORTED if version != OURS)
    assert not list(sidecar.provide_runtime(Home(tmp_path / "data"), other).rglob("*.pyc"))


def use_a_checkout(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a copy of nectar, without bytecode, be the one that is installed."""
    checkout = directory / "checkout" / "nectar"
    shutil.copytree(Path(nectar.__file__).parent, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(nectar, "__file__", str(checkout / "__init__.py"))
    return checkout
