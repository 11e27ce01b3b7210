"""A daemon that runs for real, one for each module of tests, and nodes that ask it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar import processes
from nectar.protocol import ask
from nectar.testing.sample import sample
from tests import needs
from tests.world import PATIENCE, World, reap, until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node:
    """One alias, and what its node does."""

    def __init__(self, alias: str, directory: Path) -> None:
        self.alias = alias
        self.directory = directory
        self._numbers = itertools.count(1)

    def question(self, comp_id: str, query: str, deadline: float = 30) -> bytes:
        return sample(query, comp_id=comp_id, deadline=deadline).to_json()

    def put(self, comp_id: str, query: str, *, deadline: float = 30, in_place: bool = True) -> None:
        path = self.directory / f"{comp_id}.pending"
        if in_place:
            path.write_bytes(self.question(comp_id, query, deadline))
        else:
            aside = self.directory / f"{comp_id}.new"
            aside.write_bytes(self.question(comp_id, query, deadline))
            aside.rename(path)

    def answer(self, comp_id: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Read an answer the moment it is there, as a node does, and remove it."""
        path = self.directory / f"{comp_id}.complete"
        until(path.exists, f"an answer to {comp_id}", seconds=seconds)
        answer: dict[str, Any] = json.loads(path.read_bytes())
        path.unlink()
        assert answer["comp_id"] == comp_id
        return answer

    def ask(self, query: str, *, deadline: float = 30, in_place: bool = True) -> dict[str, Any]:
        comp_id = f"{self.alias}-{next(self._numbers)}"
        self.put(comp_id, query, deadline=deadline, in_place=in_place)
        return self.answer(comp_id)

    def until_claimed(self, comp_id: str) -> None:
        until(lambda: not (self.directory / f"{comp_id}.pending").exists(), f"{comp_id} is claimed")

    def left(self) -> list[str]:
        """What lies in the directory, our own side aside."""
        return sorted(path.name for path in self.directory.iterdir() if path.name != ".nectar")


class Running:
    """A handler that has been launched.

    :ivar source: its file, beside the data dir.
    :ivar notes: a directory beside it.
    :ivar usual: how many processes there are for a worker that starts none.
    """

    def __init__(self, world: World, source: Path, *, walled: bool = needs.WALLED) -> None:
        self.world = world
        self.home = world.home
        self.source = source
        self.notes = source.with_name("notes")
        self.name = source.stem
        self.usual = 3 if walled else 1  # processes for a worker: bubblewrap has two of its own
        self._numbers = itertools.count(1)

    def node(self) -> Node:
        alias = f"node{next(self._numbers)}"
        return Node(alias, self.world.node(alias))

    def attach(self, *nodes: Node) -> None:
        self.world.run("attach", self.name, *(node.alias for node in nodes))

    def detach(self, *nodes: Node) -> None:
        self.world.run("detach", self.name, *(node.alias for node in nodes))

    def attached(self) -> Node:
        node = self.node()
        self.attach(node)
        return node

    def status(self) -> dict[str, Any]:
        return ask(self.home.socket(self.name), {"do": "status"}, timeout=PATIENCE)

    @property
    def daemon(self) -> int:
        pid: int = json.loads(self.home.lock(self.name).read_bytes())["pid"]
        return pid

    def worker(self) -> int:
        """The PID of the only worker."""
        (worker,) = self.status()["workers"]
        pid: int = worker["pid"]
        return pid

    def log(self) -> str:
        return self.home.log(self.name).read_text()

    def until_logged(self, text: str) -> None:
        until(lambda: self.home.log(self.name).exists() and text in self.log(), f"the log has {text!r}")

    def processes(self) -> list[int]:
        """PIDs of the daemon's workers and of all that they started."""
        mark = f"{processes.VARIABLE}={processes.handler_mark(self.home.data_dir, self.name)}/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def until_none_but_the_worker(self, since: list[int]) -> None:
        """:param since: PIDs of the processes that there were before."""
        until(lambda: len(now := self.processes()) == self.usual and not set(now) & set(since), "only a new worker is there")


def descriptors(pid: int) -> list[str]:
    """What a process has open; of what it closes meanwhile nothing is told."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(each))
    return found


@contextmanager
def launched(directory: Path, name: str, *options: str, walled: bool = needs.WALLED) -> Iterator[Running]:
    """A world in which a file of this folder has been launched; nothing is left of it afterwards."""
    world = World(directory)
    source = directory / name
    shutil.copy(Path(__file__).with_name(name), source)
    running = Running(world, source, walled=walled)
    running.notes.mkdir()
    if walled:
        options += ("--sandbox", "--allow", "write=notes")
    world.run("launch", source, *options)
    try:
        yield running
    finally:
        world.close()
        assert reap(directory) == []


EITHER_WAY = pytest.mark.parametrize("chameleon", needs.EITHER_WAY, indirect=True)
"""Runs a test of what a worker does, or what becomes of it, once more behind a wall."""


@pytest.fixture(scope="module", params=["walled" if needs.WALLED else "open"])
def chameleon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The handler in chameleon.py, one daemon for all tests of a module."""
    with launched(tmp_path_factory.mktemp("world"), "chameleon.py", walled=request.param == "walled") as running:
        yield running
