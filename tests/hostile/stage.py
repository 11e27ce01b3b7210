"""Where villains play: a handler of theirs that runs for real, and an honest node beside them."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.proc import read_parent
from tests import needs
from tests.soak.ground import LONG, Ground, kill, put
from tests.world import PATIENCE, processes, until

if TYPE_CHECKING:
    from tests.world import World

EITHER_WAY = pytest.mark.parametrize("stage", needs.EITHER_WAY, indirect=True)
"""Runs a test once more, with the villain behind a wall."""
LOG_CAP = 4 * (5 * 1024 * 1024 + 64 * 1024)
"""Bytes of a log's two files and the parts that were rotated away."""
_EVENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (INFO   |WARNING|ERROR  |PRINT  ) \S+ \S+: ")

_OBJECT = re.compile(r'\{"time": [\d.]+, "level": "(INFO|WARNING|ERROR|PRINT)", "alias": .*, "computation": .*, "text": ".*"\}')


@dataclass(frozen=True)
class Answer:
    """One answer, as a node reads it.

    :ivar published: Unix seconds.
    """

    fields: dict[str, Any]
    published: float

    @property
    def status(self) -> str:
        return str(self.fields["status"])

    @property
    def error(self) -> str:
        return str(self.fields["error"])

    @property
    def value(self) -> int | None:
        result = self.fields["result"]
        return None if result is None else int(result["value"])


class Asker:
    """One node that asks one question after another."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._numbers = itertools.count(1)

    def put(self, query: str, *, deadline: float = 60) -> str:
        comp_id = f"q{next(self._numbers)}"
        put(self.directory, comp_id, query, deadline=deadline, in_place=False)
        return comp_id

    def take(self, comp_id: str, *, seconds: float = LONG) -> Answer:
        """Wait for an answer, and take it away."""
        path = self.directory / f"{comp_id}.complete"
        until(path.exists, f"an answer to {comp_id}", seconds=seconds)
        published = path.stat().st_ctime
        fields: dict[str, Any] = json.loads(path.read_bytes())
        path.unlink()
        assert fields["comp_id"] == comp_id
        return Answer(fields, published)

    def ask(self, query: str, *, deadline: float = 60) -> Answer:
        return self.take(self.put(query, deadline=deadline))


class Stage(Ground):
    """The handler in villain.py, or another text."""

    def __init__(self, world: World, name: str = "villain", *, walled: bool = False) -> None:
        """:param walled: whether it is launched behind a wall, and granted to make its notes."""
        super().__init__(world, name, walled=walled)
        self.notes = world.directory / f"{name}.notes"
        self.file = world.directory / f"{name}.py"

    def play(
        self, *flags: str, settings: dict[str, object] | None = None, text: str | None = None, reads: Path | None = None
    ) -> Asker:
        """Launch, attach to a node of its own, and return who asks there.

        :param reads: a file that it is granted to read.
        """
        self.write(settings=settings, text=text)
        if self.walled:
            self.notes.touch()
            flags += ("--allow", f"read={reads}") if reads else ()
            flags += ("--sandbox", "--allow", f"write={self.notes}")
        self.world.run(
            "launch", self.file, self.name, "--env", f"NOTES={self.notes}", "--env", f"HERE={self.world.directory}", *flags
        )
        return Asker(self.node())

    def write(self, *, settings: dict[str, object] | None = None, text: str | None = None) -> None:
        lines = [f"# {key} = {json.dumps(value)}" for key, value in (settings or {}).items()]
        head = "\n".join(["# /// script", "# dependencies = []", "# [tool.nectar]", *lines, "# ///", ""])
        self.file.write_text(head + (text or Path(__file__).with_name("villain.py").read_text()))

    def noted(self, what: str = "") -> list[float]:  # type: ignore[override]
        """Unix seconds of each note that the villain made of something."""
        if not self.notes.exists():
            return []
        return [float(at) for at, _, word in (line.partition(" ") for line in self.notes.read_text().splitlines()) if word == what]

    def strays(self, *, but: int = 0) -> list[int]:
        """Processes that came from the handler and are no worker of the daemon's."""
        daemon = self.daemon
        workers = {worker["pid"] for worker in self.status()["workers"]}
        if self.walled:  # each is a child of bubblewrap's child
            first = {read_parent(worker) for worker in workers}
            workers |= first | {read_parent(each) for each in first}
        return [pid for pid in processes(self.world.directory) if pid not in {daemon, but, *workers} and _alive(pid)]

    def left(self) -> dict[int, str]:
        """Processes that know the directory, and have not ended."""
        return {pid: line for pid, line in processes(self.world.directory).items() if _alive(pid)}

    def renew(self) -> None:
        """Kill the workers, and wait for those that come after them."""
        old = {worker["pid"] for worker in self.status()["workers"]}
        for pid in old:
            kill(pid)

        def new() -> bool:
            workers = self.status()["workers"]
            return bool(workers) and all(worker["state"] == "idle" and worker["pid"] not in old for worker in workers)

        until(new, "new workers are there", seconds=LONG)

    def worker(self) -> int:
        """The PID of the first worker."""
        pid: int = self.status()["workers"][0]["pid"]
        return pid

    def until_alone(self) -> None:
        """Wait until a worker is ready and no stray process is there."""
        until(lambda: [worker["state"] for worker in self.status()["workers"]] == ["idle"], "there is one worker, and it is idle")
        until(lambda: not self.strays(), f"no process is left of {self.name}", seconds=PATIENCE)

    def forged(self) -> list[str]:
        """Lines of the log that are none of nectar's."""
        logs = [path for path in self.home.logs.glob(f"{self.name}.*") if path.is_file()]
        return [
            line[:200]
            for path in logs
            for line in path.read_text().splitlines()
            if not (_OBJECT if ".jsonl" in path.name else _EVENT).match(line)
        ]

    def log_size(self) -> int:
        return sum(path.stat().st_size for path in self.home.logs.glob(f"{self.name}.*"))


def resident(pid: int) -> int:
    """KiB of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def milliseconds(seconds: list[float]) -> tuple[int, int]:
    """The median and the largest of some times."""
    ordered = sorted(seconds)
    return (round(1000 * ordered[len(ordered) // 2]), round(1000 * ordered[-1])) if ordered else (0, 0)


def now() -> float:
    return time.time()
