"""A Dask cluster on loopback: a scheduler and workers, each a real process."""

from __future__ import annotations

import json
import os
import posixpath
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from nectar.manage.environment import marker
from tests.world import PATIENCE, free_port, until

PATH = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(sys.modules["nectar"].__file__ or "").parents[1])])
"""What the engine's workers have on their path: nectar."""


FORKING = """
import json, os, signal, sys
from distributed.cli import dask_scheduler, dask_worker

def bury(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

signal.signal(signal.SIGCHLD, bury)
for order in sys.stdin:
    kind, arguments, log = json.loads(order)
    if (pid := os.fork()) == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, place in enumerate((os.devnull, log)):
            os.dup2(os.open(place, os.O_RDWR | os.O_CREAT), number)
        os.dup2(1, 2)
        {"scheduler": dask_scheduler, "worker": dask_worker}[kind].main(arguments)
    print(pid, flush=True)
"""
"""To import Dask takes a third of what a process of its takes to start."""


class Forked:
    """A process of Dask's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        until(lambda: not self._kill(), "it has ended")

    def _kill(self) -> bool:
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


class Cluster:
    """:param directory: for logs, and what Dask writes.

    :ivar address: the scheduler's, which is the same after :meth:`restart`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._all: list[Forked] = []
        self._forking: dict[tuple[str, str], subprocess.Popen[str]] = {}
        self.workers: list[Forked] = []
        self._port = free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.restart()

    def restart(self) -> None:
        """A scheduler, which knows nothing of one before it."""
        self.scheduler = self._start("scheduler", "--port", str(self._port), "--no-show", "--dashboard-address", "127.0.0.1:0")
        until(lambda: self._is_told("scheduler", self.address), "the scheduler listens")

    def pages(self) -> dict[str, str]:
        """What the scheduler shows to whoever asks it, by its path."""
        place = re.findall(r"dashboard at: *(?:http://)?([0-9.:]+)", (self._directory / "scheduler.log").read_text())[0]
        names = ["/info/main/workers.html"]
        found: dict[str, str] = {}
        while names:
            name = names.pop()
            try:
                with urllib.request.urlopen(f"http://{place}{name}", timeout=PATIENCE) as answer:
                    found[name] = answer.read().decode()
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.NOT_FOUND:  # of a task that the cluster has let go of meanwhile
                    raise
                continue
            links = (
                posixpath.normpath(posixpath.join(name, "..", link)) for link in re.findall(r'href="([^"#]+\.html)"', found[name])
            )
            names += [link for link in links if link.startswith("/info/") and link not in found and link not in names]
        return found

    def add(self, count: int = 1, python: str | Path = sys.executable, path: str | Path = PATH) -> None:
        """Workers, which are there when this returns.

        :param python: in whose environment there is Dask; nectar is at ``path``.
        """
        before = len(self.workers)
        for number in range(before, before + count):
            name = f"worker{number}"
            options = [
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
                "--local-directory",
                str(self._directory / name),
                "--death-timeout",
                "60",
            ]
            if (found := marker.read(Path(python).parents[1])) is not None:  # as `nectar worker` starts one
                options += ["--resources", f"nectar-{found.portable}=1"]
            self.workers.append(self._start("worker", self.address, *options, name=name, python=python, path=path))
        for number in range(before, before + count):
            until(lambda name=f"worker{number}": self._is_told(name, "Registered to"), "a worker is there")  # type: ignore[misc]

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self._directory.glob("*.log")))

    def close(self) -> None:
        for process in self._all:
            process.kill()
        for forking in self._forking.values():
            forking.communicate(timeout=PATIENCE)
        self._all.clear()
        self._forking.clear()

    def _is_told(self, name: str, text: str) -> bool:
        return text in (self._directory / f"{name}.log").read_text()

    def _start(
        self, kind: str, *arguments: str, name: str = "", python: str | Path = sys.executable, path: str | Path = PATH
    ) -> Forked:
        forking = self._forking.get((str(python), str(path))) or self._start_forking(str(python), str(path))
        assert forking.stdin is not None and forking.stdout is not None
        log = self._directory / f"{name or kind}.log"
        log.write_text("")
        forking.stdin.write(json.dumps([kind, [*arguments, "--host", "127.0.0.1"], str(log)]) + "\n")
        forking.stdin.flush()
        self._all.append(Forked(int(forking.stdout.readline())))
        return self._all[-1]

    def _start_forking(self, python: str, path: str) -> subprocess.Popen[str]:
        environ = {**os.environ, "PYTHONPATH": path}
        made = subprocess.Popen([python, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        self._forking[python, path] = made
        return made
