"""A daemon that runs for real, one for each module of tests, and nodes that ask it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0
"""Seconds for what happens within one on an idle machine."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The condition's value, when it is true.

    :raises AssertionError: it has not become so in time.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.005)
    return value


class Node:
    """One alias, and what its node does."""

    def __init__(self, data_dir: Path, alias: str) -> None:
        self.alias = alias
        self.directory = data_dir / alias / "data" / "computation"
        self.directory.mkdir(parents=True)
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
        wait_for(path.exists, f"an answer to {comp_id}", seconds)
        answer: dict[str, Any] = json.loads(path.read_bytes())
        path.unlink()
        assert answer["comp_id"] == comp_id
        return answer

    def ask(self, query: str, *, deadline: float = 30, in_place: bool = True) -> dict[str, Any]:
        comp_id = f"{self.alias}-{next(self._numbers)}"
        self.put(comp_id, query, deadline=deadline, in_place=in_place)
        return self.answer(comp_id)

    def until_claimed(self, comp_id: str) -> None:
        wait_for(lambda: not (self.directory / f"{comp_id}.pending").exists(), f"{comp_id} is claimed")

    def left(self) -> list[str]:
        """What lies in the directory, our own side aside."""
        return sorted(path.name for path in self.directory.iterdir() if path.name != ".nectar")


class Running:
    """A handler that has been launched."""

    def __init__(self, home: Path, source: Path, name: str) -> None:
        self.data_dir = home / "data"
        self.source = source
        self.name = name
        self._environ = {**os.environ, "HOME": str(home)}
        self._numbers = itertools.count(1)

    def nectar(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nectar.cli", "--data-dir", str(self.data_dir), *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=100, check=False, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def node(self) -> Node:
        return Node(self.data_dir, f"node{next(self._numbers)}")

    def attach(self, *nodes: Node) -> None:
        self.nectar("attach", self.name, *(node.alias for node in nodes))

    def detach(self, *nodes: Node) -> None:
        self.nectar("detach", self.name, *(node.alias for node in nodes))

    def attached(self) -> Node:
        node = self.node()
        self.attach(node)
        return node

    def status(self) -> dict[str, Any]:
        from nectar.home import Home
        from nectar.protocol import ask

        return ask(Home(self.data_dir).socket(self.name), {"do": "status"}, timeout=PATIENCE)

    @property
    def daemon(self) -> int:
        pid: int = json.loads((self.data_dir / "nectar" / "handlers" / f"{self.name}.lock").read_bytes())["pid"]
        return pid

    def log(self) -> str:
        return (self.data_dir / "nectar" / "logs" / f"{self.name}.log").read_text()

    def until_logged(self, text: str) -> None:
        wait_for(lambda: text in self.log(), f"the log has {text!r}")

    def processes(self) -> list[int]:
        """PIDs of the daemon's workers and of all that they started."""
        from nectar import processes

        mark = f"{processes.VARIABLE}={processes.handler_mark(self.data_dir, self.name)}/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def until_none_but_the_worker(self, since: int) -> None:
        wait_for(lambda: len(self.processes()) == 1 and since not in self.processes(), "only a new worker is there")


@pytest.fixture(scope="module")
def chameleon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The handler in chameleon.py, launched."""
    home = tmp_path_factory.mktemp("home")
    source = home / "chameleon.py"
    shutil.copy(Path(__file__).with_name("chameleon.py"), source)
    running = Running(home, source, "chameleon")
    running.nectar("launch", str(source), "chameleon")
    yield running
    running.nectar("stop", "chameleon", check=False)
    wait_for(lambda: not running.processes(), "nothing is left of it")
