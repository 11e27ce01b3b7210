"""Nectar's own side: made once for a Python, from what is installed beside this nectar, and complete."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nectar
from nectar.home import Home
from nectar.manage.environment import sidecar
from tests import pythons


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
    import shutil

    home = Home(tmp_path / "data")
    one = sidecar.provide_runtime(home, "3.11")
    checkout = tmp_path / "checkout" / "nectar"
    shutil.copytree(Path(nectar.__file__).parent, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(nectar, "__file__", str(checkout / "__init__.py"))
    assert sidecar.provide_runtime(home, "3.11") == one
    (checkout / "errors.py").write_text((checkout / "errors.py").read_text() + "\n# changed\n")
    other = sidecar.provide_runtime(home, "3.11")
    assert other != one
    assert one.is_dir()
    assert (other / "api" / "nectar" / "errors.py").read_text().endswith("# changed\n")
