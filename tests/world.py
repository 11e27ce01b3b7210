"""A world to try nectar in: a data dir, nodes, and the real command line as a process of its own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar import namelock
from nectar.errors import NectarError
from nectar.home import Home
from nectar.manage.handlers import registry
from nectar.protocol import ask
from nectar.testing.sample import sample
from tests.forked import Forked, Forks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

PATIENCE = 60.0
"""Seconds after which a condition that has not come true never will; the machine may be busy."""

TWICE = """
    from nectar import Computation, handler

    @handler
    def analyze(comp: Computation) -> int:
        return len(comp.query) * 2
"""


class World:
    """:param directory: where the data dir is made, and where commands are run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = Home(directory / "bee-hive")
        self._started: list[subprocess.Popen[str]] = []
        self._named_by_content = (self.home.envs, self.home.resolutions, self.home.runtimes)
        self._shared: Path | None = None

    def share(self, directory: Path) -> None:
        """Have what is named by its content from a directory that other worlds had it from, until this one is closed."""
        self._shared = directory
        self.home.nectar.mkdir(mode=0o700, parents=True)
        for path in self._named_by_content:
            (directory / path.name).mkdir(mode=0o700, exist_ok=True)
            (directory / path.name).rename(path)

    def run(self, *arguments: str | Path, code: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``nectar`` and return what it said.

        :param code: the exit code that it must have; None leaves that to the caller.
        :param options: as for :func:`subprocess.run`; ``env`` is added to the environment.
        """
        ended = self._run(self.command(*arguments), options)
        if code is not None:
            assert ended.returncode == code, f"{arguments} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended

    def run_by_default(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The same in the data dir that ``HOME`` and ``NECTAR_DATA_DIR`` give."""
        return self._run([sys.executable, "-m", "nectar.cli", *arguments], options)

    def json(self, *arguments: str | Path, code: int | None = 0) -> dict[str, Any]:
        """Run ``nectar … --json`` and return the one object that it printed."""
        fields: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code).stdout)
        assert fields["schema"] == 1
        return fields

    def begin(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start ``nectar`` and return at once; it is ended with the world."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(self.command(*arguments), **{**pipes, **self._options(options, capture=False)})
        self._started.append(process)
        return process

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "nectar.cli", "--data-dir", str(self.home.data_dir), *map(str, arguments)]

    def node(self, alias: str = "alice") -> Path:
        """The directory of a node, made where it is not there yet."""
        directory = self.home.computations(alias)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def file(self, name: str, text: str = TWICE) -> Path:
        """A file beside the data dir."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def project(self, name: str = "my_handler_pkg") -> Path:
        """A project from the template."""
        self.run("new", self.directory / name, "--no-dev")
        return self.directory / name

    def put(self, comp_id: str, query: str = "abc", *, alias: str = "alice", in_place: bool = True) -> Path:
        """Ask, as a node does, or as who writes aside and renames."""
        pending = self.home.computations(alias) / f"{comp_id}.pending"
        content = sample(query, comp_id=comp_id).to_json()
        if in_place:
            pending.write_bytes(content)
        else:
            aside = pending.with_suffix(".aside")
            aside.write_bytes(content)
            aside.rename(pending)
        return pending

    def answer(self, comp_id: str, *, alias: str = "alice") -> dict[str, Any]:
        """Wait for an answer and take it away, as a node does."""
        complete = self.home.computations(alias) / f"{comp_id}.complete"
        until(complete.exists, f"{complete} appears")
        fields: dict[str, Any] = json.loads(complete.read_bytes())
        complete.unlink()
        return fields

    def registry(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.home.registry.read_bytes())
        return fields

    def close(self) -> None:
        """Stop everything that was started here."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        if not self._end_daemons():
            self.run("stop", "--all", "--timeout", "0", code=None)
        for path in self._named_by_content:
            if self._shared is not None and path.is_dir():
                path.rename(self._shared / path.name)

    def fork(self, *arguments: str | Path, env: Mapping[str, str] | None = None, **streams: int) -> Forked:
        """Fork ``nectar`` and return at once.

        :param env: added to the environment.
        :param streams: the descriptors that are its ``stdout`` and ``stderr``; nothing is read or written where none is named.
        """
        with open(os.devnull, "r+b") as nothing:
            descriptors = [nothing.fileno(), *(streams.get(name, nothing.fileno()) for name in ("stdout", "stderr"))]
            return forks().start(
                self.command(*arguments)[3:], {**os.environ, **(env or {})}, os.fspath(self.directory), descriptors
            )

    def _end_daemons(self) -> bool:
        """Have all daemons end, which takes a tenth of what a command takes.

        :returns: whether all that should run did, was asked for its end, and ended.
        """
        try:
            records = registry.read(self.home)
            running = {name for name, record in records.items() if namelock.is_running(self.home, name)}
            for name in running:
                ask(self.home.socket(name), {"do": "stop", "timeout": 0}, timeout=2)
            end = time.monotonic() + 2
            ended = all(namelock.wait_until_free(self.home, name, end=end) for name in running)
        except (NectarError, OSError):
            return False
        return ended and not any(record.status == "running" for name, record in records.items() if name not in running)

    def _run(self, command: list[str], options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        return self._forked(command, options) or subprocess.run(
            command, check=False, **self._options(options), timeout=2 * PATIENCE
        )

    def _forked(self, command: list[str], options: dict[str, Any]) -> subprocess.CompletedProcess[str] | None:
        """The same, forked; None where it has to be started."""
        environment = {**os.environ, **options.get("env", {})}
        if options.keys() - {"env", "cwd", "input"} or command[1:3] != ["-m", "nectar.cli"] or not forks().can(environment):
            return None
        directory, given = os.fspath(options.get("cwd", self.directory)), options.get("input", "").encode()
        code, *said = forks().run(command[3:], environment, directory, given, 2 * PATIENCE)
        output, errors = (stream.decode().replace("\r\n", "\n") for stream in said)
        return subprocess.CompletedProcess(command, code, output, errors)

    def _options(self, given: dict[str, Any], *, capture: bool = True) -> dict[str, Any]:
        environment = {**os.environ, **given.pop("env", {})}
        basic: dict[str, Any] = {"text": True, "encoding": "utf-8", "cwd": self.directory, "stdin": subprocess.DEVNULL}
        if capture:
            basic["capture_output"] = True
        if "input" in given:
            del basic["stdin"]
        return {**basic, **given, "env": environment}


@functools.cache
def forks() -> Forks:
    """Where this process has its commands forked."""
    made = Forks()
    atexit.register(made.close)
    return made


def until(condition: Callable[[], object], what: str, *, seconds: float = PATIENCE) -> None:
    """Wait for a condition: what costs much to look at is looked at less often.

    :param what: what is awaited, for the message.
    """
    begun = time.monotonic()
    end = begun + seconds
    while not condition():
        looked = time.monotonic()
        assert looked < end, f"{what}: not within {seconds:g} s"
        time.sleep(min(0.2, max(0.02, 9 * (looked - begun))))
        begun = time.monotonic()


@contextlib.contextmanager
def paused(pid: int) -> Iterator[None]:
    """A daemon does nothing meanwhile: what goes piece by piece, it could make anew in between."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def free_port() -> int:
    """A port that nobody has. It is none of those that the system gives: who connects to one of these before somebody listens there may
    be given that very port for its own end, and is connected to itself.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


def memory() -> Path | None:
    """A directory in a file system in memory, where there is one: on a disk, a third of the time is its."""
    root = Path("/dev/shm")
    return root if os.access(root, os.W_OK) else None


def processes(directory: Path, *, older: Collection[str] = ()) -> dict[int, str]:
    """Processes other than this one whose command line, environment or working directory names a directory: PID to command line.

    :param older: what :func:`pids` gave; these are not looked at.
    """
    needle = os.fsencode(directory)
    found = {}
    for pid in pids().difference(older, (str(os.getpid()),)):
        try:
            with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as told:
                line = told.readall()
            with open(f"/proc/{pid}/environ", "rb", buffering=0) as told:
                names = needle in line or needle in told.readall()
            if names or needle in os.fsencode(os.readlink(f"/proc/{pid}/cwd")):
                found[int(pid)] = line.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def pids() -> set[str]:
    """The numbers of all processes; none where there is no ``/proc``."""
    return {name for name in os.listdir("/proc") if name.isdigit()} if os.path.exists("/proc/self") else set()


def reap(directory: Path, *, seconds: float = 10, older: Collection[str] = ()) -> list[str]:
    """Give processes that know a directory a moment to end, end those that stay, and return what those were.

    :param older: as for :func:`processes`.
    """
    end = time.monotonic() + seconds
    while left := processes(directory, older=older):
        if time.monotonic() > end:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return [f"{pid}: {line}" for pid, line in left.items()]
        time.sleep(0.05)
    return []
