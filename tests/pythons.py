"""Which other Pythons this machine has, for tests that need a second one.

Version managers put stand-ins on PATH that fail when they are called (pyenv's shims), so each candidate is asked. Where a test
needs a Python that is not here, it skips and says so::

    from tests import pythons

    other = pythons.require("3.12")

``NECTAR_TEST_PYTHONS`` names further directories to look in, separated like those of PATH; ``nox`` passes it on.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13")
VARIABLE = "NECTAR_TEST_PYTHONS"
NAMED = os.environ.get(VARIABLE, "")
"""What it says, before a test takes it away: to ask a stand-in is to run several hundred commands of a shell."""


def require(version: str) -> Path:
    """The interpreter of a version such as ``"3.12"``; skips the test where there is none."""
    import pytest

    python = find(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine (its directory can be named in {VARIABLE})")
    return python


def path_with(*versions: str) -> str:
    """A value for PATH on which uv, or whoever searches it, finds these versions, then the system's, and no others.

    Skips the test where one is missing. Where uv has kept nothing of earlier looks it starts each interpreter that it finds, and
    each time those that are too old for it: half a dozen take two seconds.
    """
    return os.pathsep.join([*(str(require(version).parent) for version in versions), os.defpath])


def path_with_few() -> str:
    """The same with the Python of the tests."""
    return os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.defpath])


@functools.cache
def find(version: str) -> Path | None:
    """The interpreter of a version itself, absolute (not a stand-in, nor that of a virtual environment), or None."""
    for directory in _directories(version):
        found = shutil.which(f"python{version}", path=str(directory))
        python = _itself(found, version) if found else None
        if python:
            return python
    return None


def directories() -> list[str]:
    """Where the supported Pythons of this machine lie, for a search path."""
    return [str(python.parent) for version in SUPPORTED if (python := find(version))]


def _directories(version: str) -> list[Path]:
    """Where to look: what was named, PATH, and where uv and pyenv keep what they install, newest first."""
    named = [*NAMED.split(os.pathsep), *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local" / "share" / "uv" / "python")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    kept = [*uv.glob(f"cpython-{version}.*/bin"), *pyenv.glob(f"{version}.*/bin")]
    return [Path(name) for name in named if name] + sorted(kept, key=_numbers, reverse=True)


def _numbers(directory: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", directory.parent.name)]


def _itself(candidate: str, version: str) -> Path | None:
    program = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys._base_executable)"
    try:
        answer = subprocess.run([candidate, "-I", "-c", program], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match answer.stdout.splitlines():
        case [said, base] if answer.returncode == 0 and said == version:
            return Path(base).absolute()
    return None
