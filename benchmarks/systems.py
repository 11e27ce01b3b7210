"""What is measured: nectar in a data dir of its own, and the floor."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from asking import QUERY, Client, wait_for_file
from measuring import list_children

from nectar.home import Home

HERE = Path(__file__).parent
HANDLER = """
from nectar import Computation, handler

@handler
def analyze(comp: Computation) -> int:
    return len(comp.query)
"""


class World:
    """A data dir for nectar, and all that is made beside it; what runs in it is stopped at the end.

    :ivar others: how many processors others kept busy, each time that it was looked at.
    """

    def __init__(self, directory: Path, rounds: int) -> None:
        self.directory = directory
        self.rounds = rounds
        self.home = Home(directory / "bee-hive")
        self.others: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.home.registry.exists():
            subprocess.run(self.command("stop", "--all", "--timeout", "0"), check=False, capture_output=True)

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "nectar.cli", "--data-dir", str(self.home.data_dir), *map(str, arguments)]

    def nectar(self, *arguments: object) -> str:
        """Run a command and return what it printed."""
        ended = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if ended.returncode:
            raise RuntimeError(f"{arguments} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def view(self, name: str) -> dict[str, Any]:
        """What ``view`` tells of a handler, and the PIDs of its daemon and its workers."""
        fields: dict[str, Any] = json.loads(self.nectar("view", name, "--json"))
        daemon = fields["daemon"]
        return {**fields, "pids": [daemon["pid"], *(worker["pid"] for worker in daemon["workers"])]}

    def node(self, alias: str) -> Path:
        """The directory of a node, made where it is not there yet."""
        directory = self.home.computations(alias)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def file(self, name: str, text: str = HANDLER) -> Path:
        """A handler's file."""
        path = self.directory / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path


class Nectar:
    """A handler, launched in a world and attached to nodes of its own, at the first of which a question waits.

    :param options: of ``launch``.
    :ivar first: seconds from its launch until that answer was there.
    :ivar pids: its daemon and its workers.
    :ivar python: the interpreter that it was given.
    """

    def __init__(
        self, world: World, name: str = "trivial", *options: str, text: str = HANDLER, nodes: int = 1, query: str = QUERY
    ) -> None:
        self.world, self.name = world, name
        aliases = [f"{name}-{number}" for number in range(nodes)]
        self.nodes = [world.node(alias) for alias in aliases]
        self.client = Client(*self.nodes, query=query)
        answer = self.client.ask()
        begun = time.perf_counter()
        world.nectar("launch", world.file(name, text), name, *options, *(word for alias in aliases for word in ("--attach", alias)))
        self.client.check(wait_for_file(answer))
        self.first = time.perf_counter() - begun
        view = world.view(name)
        self.pids = view["pids"]
        self.python = view["python"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.world.nectar("remove", self.name, "--stop")
        for node in self.nodes:
            shutil.rmtree(node.parents[1])


class Process:
    """Something else that answers: a command, and what it starts.

    A question lies there before it is started, and is answered when it has been made.

    :param client: who asks.
    :ivar first: seconds from its start until that answer was there.
    """

    def __init__(self, command: list[str], client: Client, nodes: list[Path], **options: Any) -> None:
        self.client, self.nodes = client, nodes
        answer = client.ask()
        begun = time.perf_counter()
        self.process = subprocess.Popen(command, **options)
        try:
            client.check(wait_for_file(answer))
            self.first = time.perf_counter() - begun
        except BaseException:
            self.__exit__()
            raise

    @property
    def pids(self) -> list[int]:
        return [self.process.pid, *list_children(self.process.pid)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.client.close()
        for node in self.nodes:
            shutil.rmtree(node.parent)


class Floor(Process):
    """
    :param ahead: how many questions its worker is sent at a time.
    :param python: the interpreter; the same as nectar's handler has.
    """

    def __init__(self, world: World, python: str, *, ahead: int = 1, nodes: int = 1, query: str = QUERY) -> None:
        places = [world.directory / f"floor-{ahead}-{number}" / "computation" for number in range(nodes)]
        for place in places:
            place.mkdir(parents=True)
        command = [python, str(HERE / "floor.py"), str(ahead), *map(str, places)]
        super().__init__(command, Client(*places, query=query), places)


def warm(*systems: Nectar | Process, count: int = 300) -> None:
    """Ask until all that is done once, and what is slower at first, has been."""
    for system in systems:
        system.client.ask_in_turn(count)
        system.client.ask_at_once(count)
        system.client.collect()
