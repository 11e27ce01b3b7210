"""What the soak tests stand on: a handler that runs for real, nodes that ask and read as nodes do, and ways to break things."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from nectar import processes
from nectar.protocol import ask
from nectar.spool.spool import STILL
from nectar.testing.sample import sample
from tests import needs
from tests.soak.ear import Ear
from tests.world import PATIENCE, World, memory, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EITHER_WAY = pytest.mark.parametrize("ground", needs.EITHER_WAY, indirect=True)
"""Runs a test once more, with its handler behind a wall."""
LONG = 300.0
"""Seconds after which what has not happened never will, however loaded the machine is."""
HELD_UP = STILL - 0.2
"""Seconds in which a question was half-written, after which its writer may be taken for dead: the machine was too busy."""
MOST_NODES = 4
SOON = 0.002
"""Seconds between two looks at a directory in which answers come."""
LATE = 30.0
"""Seconds within which a thing is asserted that is promised within two: the number that was reached is in the table."""


class Ground:
    """One handler in a world.

    :ivar runs: the file in which the handler notes its runs.
    :ivar usual: how many processes there are for a worker that starts none.
    :ivar walled: whether it is launched behind a wall, and granted to do that.
    """

    def __init__(self, world: World, name: str = "soaking", *, walled: bool = False) -> None:
        self.walled = walled
        self.usual = 3 if walled else 1  # processes for a worker: bubblewrap has two of its own
        self.world = world
        self.home = world.home
        self.name = name
        self.runs = world.directory / "runs"

    def launch(
        self, *flags: str, settings: dict[str, object] | None = None, noted: bool = True, wrap: list[str] | None = None
    ) -> None:
        """Launch the handler.

        :param settings: for ``[tool.nectar]``.
        :param noted: whether it notes its runs.
        :param wrap: a command that is to run the launch.
        """
        lines = [f"# {key} = {json.dumps(value)}" for key, value in (settings or {}).items()]
        head = "\n".join(["# /// script", "# dependencies = []", "# [tool.nectar]", *lines, "# ///", ""]) if lines else ""
        file = self.world.directory / "soaking.py"  # one for all names, and so one environment
        file.write_text(head + Path(__file__).with_name("soaking.py").read_text())
        environment = ["--env", f"RUNS={self.runs}"] if noted else []
        arguments: list[str | Path] = ["launch", file, self.name, *environment, *flags]
        if self.walled:
            self.runs.touch()
            arguments += ["--sandbox", "--allow", f"write={self.runs}"]
        if wrap is None:
            self.world.run(*arguments)
            return
        command = [*wrap, *self.world.command(*arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.world.directory, timeout=LONG)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def nodes(self, count: int = 1) -> list[Path]:
        """Attach to nodes, which are made, and return their directories."""
        aliases = [f"{self.name}-node{number}" for number in range(count)]
        directories = [self.world.node(alias) for alias in aliases]
        self.world.run("attach", self.name, *aliases)
        return directories

    def node(self) -> Path:
        return self.nodes()[0]

    @contextmanager
    def in_memory(self) -> Iterator[None]:
        """Have nodes' directories in a file system in memory, where there is one: on a disk, a third of a question's time is its.

        To be called before they are made, and for tests to which it does not matter where a question lies.
        """
        with tempfile.TemporaryDirectory(prefix="nectar-node-", dir=memory()) as directory:
            for number in range(MOST_NODES):
                alias = Path(directory, str(number))
                alias.mkdir()
                self.home.computations(f"{self.name}-node{number}").parents[1].symlink_to(alias)
            yield
            self.world.run("stop", self.name)

    def status(self) -> dict[str, Any]:
        return ask(self.home.socket(self.name), {"do": "status"}, timeout=PATIENCE)

    def serves(self) -> bool:
        """Whether a daemon serves now."""
        try:
            return bool(ask(self.home.socket(self.name), {"do": "status"}, timeout=5)["state"] == "serving")
        except Exception:
            return False

    @property
    def daemon(self) -> int:
        pid: int = json.loads(self.home.lock(self.name).read_bytes())["pid"]
        return pid

    def marked(self) -> list[int]:
        """PIDs of the daemon's workers and of all that they started."""
        mark = f"{processes.VARIABLE}={processes.handler_mark(self.home.data_dir, self.name)}/".encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def workers(self, daemon: int) -> list[int]:
        """PIDs of a daemon's children, but those that are copies of itself, by which it sets a bound behind a wall."""

        def command(pid: object) -> bytes:
            try:
                return Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:  # it has ended
                return b""

        try:
            children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
        except OSError:
            return []
        return [int(pid) for pid in children if command(pid) not in (command(daemon), b"")]

    def log(self) -> str:
        return self.home.log(self.name).read_text()

    def until_begun(self, comp_id: str, times: int = 1) -> None:
        """Wait until so many runs of a question have begun."""
        until(lambda: self.noted()[comp_id] >= times, f"run {times} of {comp_id}", seconds=LONG)

    def noted(self, what: str = "begin") -> Counter[str]:
        """How often a run of each id began, or ended."""
        lines = self.runs.read_text().splitlines() if self.runs.exists() else []
        return Counter(line.split()[0] for line in lines if line.split()[1] == what)


class Reader:
    """Reads each answer of some directories the moment it is there, and removes it, as a node does; a thread of its own.

    :ivar answers: by id, each answer that there was.
    :ivar torn: what could not be read as an answer.
    :ivar leave: names that are left alone.
    :ivar at: monotonic seconds of the first answer to each id.
    """

    def __init__(self, *directories: Path) -> None:
        self.answers: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.torn: list[str] = []
        self.leave: set[str] = set()
        self.at: dict[str, float] = {}
        self._directories = directories
        self._ending = False
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending = True
        self._thread.join(LONG)

    def until(self, ids: set[str] | list[str], *, seconds: float = LONG) -> set[str]:
        """Wait until there is an answer to each of these, and return those to which there is none in time."""
        end = time.monotonic() + seconds
        missing = [*ids]
        with self._came:
            while True:
                while missing and missing[-1] in self.answers:
                    missing.pop()
                if not missing or not self._came.wait(end - time.monotonic()):
                    return set(missing).difference(self.answers)

    def _run(self) -> None:
        with Ear(*self._directories) as ear:
            while not self._ending:
                begun = time.monotonic()
                ear.listen()
                if sum(self._look(directory) for directory in self._directories):
                    with self._came:
                        self._came.notify_all()
                # Where many come, some are read at a time.
                time.sleep(min(0.2, max(SOON, 4 * (time.monotonic() - begun))))
                ear.wait()

    def _look(self, directory: Path) -> int:
        """Read what there is, and return how much that was."""
        try:
            names = [name for name in os.listdir(directory) if name.endswith(".complete") and name not in self.leave]
        except OSError:
            return 0
        for name in names:
            try:
                raw = (directory / name).read_bytes()
                os.unlink(directory / name)
            except OSError:
                continue
            comp_id = name.removesuffix(".complete")
            try:
                answer = json.loads(raw)
                assert answer["comp_id"] == comp_id
                assert {"status", "result", "error", "execution_time"} <= answer.keys()
            except (ValueError, KeyError, AssertionError):
                self.torn.append(f"{name}: {raw[:100]!r}")
                continue
            self.at.setdefault(comp_id, time.monotonic())
            self.answers[comp_id].append(answer)
        return len(names)

    def twice(self) -> list[str]:
        return [comp_id for comp_id, answers in self.answers.items() if len(answers) > 1]

    def value(self, comp_id: str) -> int | None:
        """The value of an id's first answer, None where it was no success."""
        result = self.answers[comp_id][0]["result"]
        return None if result is None else int(result["value"])


def put(directory: Path, comp_id: str, query: str, *, deadline: float = 60, in_place: bool = True) -> float:
    """Ask, as a node does, or as who writes aside and renames.

    :returns: seconds for which others may have seen a part of it.
    """
    begun = time.monotonic()
    raw = sample(query, comp_id=comp_id, deadline=deadline).to_json()
    path = directory / f"{comp_id}.pending"
    written = path if in_place else directory / f"{comp_id}.aside"
    written.write_bytes(raw)
    if not in_place:
        written.rename(path)
        return 0.0
    return time.monotonic() - begun


def left(directory: Path) -> list[str]:
    """What lies in a node's directory, our own side included."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.name != ".nectar")


def gone(pid: int) -> bool:
    """Whether a process has ended, what is left of it in the table aside."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def until_gone(*pids: int) -> float:
    """Wait until processes have ended, and return the seconds that it took."""
    return seconds_until(lambda: all(map(gone, pids)), f"{pids} are gone")


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def descriptors_of(pid: int) -> int:
    """How many descriptors a process has when it does nothing: the least of some looks."""
    counts = []
    for _ in range(10):
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.05)
    return min(counts)


def seconds_until(condition: Callable[[], object], what: str, *, seconds: float = LONG) -> float:
    """How long it takes for a condition to come true."""
    begun = time.monotonic()
    until(condition, what, seconds=seconds)
    return time.monotonic() - begun


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can do that")


@contextmanager
def mounted(directory: Path, *options: str, kind: str = "tmpfs", source: str = "tmpfs") -> Iterator[Path]:
    """Something mounted at a directory; skips where that is not allowed."""
    need_root()
    directory.mkdir(parents=True, exist_ok=True)
    mount(directory, *options, kind=kind, source=source)
    try:
        yield directory
    finally:
        unmount(directory)


def mount(directory: Path, *options: str, kind: str = "tmpfs", source: str = "tmpfs") -> None:
    kinds = ["-t", kind] if kind else []
    ended = subprocess.run(["mount", *kinds, *options, source, directory], check=False, capture_output=True, text=True)
    if ended.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {ended.stderr.strip()}")


def unmount(directory: Path) -> None:
    """Who still has it open keeps it, but nobody finds it any more."""
    subprocess.run(["umount", "-l", directory], check=False, capture_output=True)


@contextmanager
def injected(
    pid: int, *expressions: str, only: str | None = None, output: Path = Path(os.devnull)
) -> Iterator[subprocess.Popen[bytes]]:
    """strace at one thread, with injections; skips where that is not possible.

    :param only: what a descriptor leads to: other calls are left alone.
    :param output: where it writes what it sees.
    """
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    flags = [part for expression in expressions for part in ("-e", expression)] + (["-P", only] if only else [])
    strace = subprocess.Popen(
        ["strace", "-o", str(output), *flags, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        until(lambda: strace.poll() is not None or _traced(pid) or gone(pid), "strace is attached")
        if strace.poll() is not None and not gone(pid):
            assert strace.stderr is not None
            pytest.skip(f"strace cannot be used here: {strace.stderr.read().decode().strip()}")
        yield strace
    finally:
        with ExitStack() as stack:
            stack.enter_context(strace)
            strace.terminate()
            try:
                strace.wait(10)
            except subprocess.TimeoutExpired:
                strace.kill()
    until(lambda: not _traced(pid), "strace is gone")


def _traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "TracerPid:\t0\n" not in status
