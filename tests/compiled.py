"""What rides beside environments as it is in a data dir that was used before, made and compiled once for all processes that run tests.

Each data dir would compile it anew, which takes as long as two daemons take to start, and longer than a copy by far.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nectar.home import Home
from nectar.locks import hold
from nectar.manage.environment import sidecar

_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_IMPORT = """
import sys
sys.path[:0] = sys.argv[1:]
import nectar.runtime.daemon.daemon, nectar.runtime.daemon.once, nectar.runtime.worker.worker
"""


class Compiled:
    """:param directory: the same for all processes of a run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def copy(self, runtimes: Path) -> None:
        """Put it where a data dir has it; nothing of that is there yet."""
        runtimes.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(self._make(), runtimes)  # with their times, by which Python knows what was compiled of what

    def _make(self) -> Path:
        made = self._directory / "made"
        with hold(self._directory / "lock"):
            if not made.exists():
                aside = Home(self._directory / "aside")
                runtime = sidecar.provide_runtime(aside, _MINOR)
                places = [str(runtime / sidecar.API), str(runtime / "deps")]
                # Without what the tests' own environment says: what is compiled is to be written down.
                subprocess.run([sys.executable, "-I", "-S", "-c", _IMPORT, *places], check=True, cwd="/", env={"PATH": os.defpath})
                aside.runtimes.chmod(0o700)
                aside.runtimes.rename(made)
        return made
