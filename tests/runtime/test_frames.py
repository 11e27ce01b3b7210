"""A worker by itself, and what is said of frames: the fields that they hold, of a real pool too, are those of the two tables."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy
import pytest

from nectar.runtime import frames, start
from nectar.runtime.daemon.workers.worker_process import NO_ENGINE
from nectar.testing.sample import sample
from tests.units.machines import Stage

if TYPE_CHECKING:
    from tests.soak.machine import Process

PLUGGY = str(Path(pluggy.__file__).parent)
CODE = """
import sys

import nectar

@nectar.handler
def answer(comp):
    if comp.query in sys.modules:
        return 2
    return {"good": 1}[comp.query]
"""


AFTER = """
from module import answer, nectar

@nectar.hookimpl
def nectar_answered():
    print("after it")
"""


def table(side: str) -> dict[str, set[str]]:
    """The fields that a side's frames hold besides ``do``, by that."""
    assert frames.__doc__ is not None
    (rows,) = re.findall(rf"^the {side} +holds\n=+ +=+\n(.*?)^=", frames.__doc__, re.MULTILINE | re.DOTALL)
    found = {}
    for do, text in re.findall(r"^``(\w+)``(.*?)(?=^``|\Z)", rows, re.MULTILINE | re.DOTALL):
        found[do] = set(re.findall(r"``(\w+)``", re.sub(r"\([^()]*\)", "", text.split(";")[0])))
    return found


class Started:
    """A worker that has a handler of this code to load."""

    def __init__(self, directory: Path) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        self._reader = frames.Reader(max_body=0)
        (directory / "module.py").write_text(CODE)
        (directory / "after.py").write_text(AFTER)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-s", str(start.__file__), "worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PYTHONPATH": str(directory)},
                cwd=directory,
            )
        self.directory = str(directory)

    def ask(self, header: dict[str, Any], body: bytes = b"") -> dict[str, Any]:
        self._channel.sendall(frames.encode(header, body))
        return self.receive()

    def receive(self) -> dict[str, Any]:
        answer = frames.receive(self._channel.recv, self._reader)
        assert answer is not None
        return answer[0]

    def load(self, entry: str, snapshot: Path | None = None) -> dict[str, Any]:
        manifest = None if snapshot is None else str(snapshot)
        loading: dict[str, Any] = {"entry": entry, "handler": "h", "plugins": [], "snapshot": manifest, "directory": self.directory}
        bounds: dict[str, Any] = {"slots": 1, "memory": None, "limits": {}, "processes": None}
        return self.ask({"do": "load", "parent": os.getpid(), "pluggy": PLUGGY, **bounds, **NO_ENGINE, **loading})

    def run(self, query: str, job: int = 0) -> dict[str, Any]:
        header = {"do": "run", "job": job, "comp_id": "a", "timestamp": 0.0, "deadline": 60}
        return self.ask(header, sample(query, comp_id="a").to_json())

    def close(self) -> int:
        self._channel.close()
        return self.process.wait(60)


def fields(header: dict[str, Any]) -> set[str]:
    return header.keys() - {"do"}


def test_what_the_daemon_says_holds_what_its_table_says() -> None:
    stage = Stage(recycle_after=1, concurrency=2)
    stage.load = lambda process: stage.machine.send(process, '{"do": "ready", "warnings": [], "cancels": true}')
    said: dict[str, set[str]] = {}
    receive = stage.machine.receive

    def listen(process: Process) -> dict[str, Any] | None:
        header = receive(process)
        if header is not None:
            said[header["do"]] = fields(header)
        return header

    stage.machine.receive = listen  # type: ignore[method-assign]
    stage.begin().run("a", deadline=1)
    stage.go(1)
    stage.answer("a")
    stage.go(0)
    assert said == table("daemon")
    assert said["stop"] == set()


@pytest.mark.parametrize(
    ("entry", "loaded"), [("module:answer", "ready"), ("after", "ready"), ("module:nothing", "failed"), ("nowhere", "failed")]
)
def test_what_a_worker_says_holds_what_its_table_says(tmp_path: Path, entry: str, loaded: str) -> None:
    expected = table("worker")
    assert expected.keys() == {"ready", "failed", "answer", "free"}
    worker = Started(tmp_path)
    try:
        first = worker.load(entry)
        assert first["do"] == loaded
        assert fields(first) == expected[loaded]
        assert first.get("frees", False) is (entry == "after")
        for number, query in enumerate(("good", "bad") if loaded == "ready" else ()):
            answer = worker.run(query, number)
            assert (answer["do"], answer["job"], answer["status"]) == ("answer", number, "success" if query == "good" else "error")
            assert fields(answer) == expected["answer"]
            if first["frees"]:
                free = worker.receive()
                assert (free["do"], free["job"], fields(free)) == ("free", number, expected["free"])
    finally:
        code = worker.close()
    assert code == (0 if loaded == "ready" else 1)


@pytest.mark.parametrize("of_a_file", [False, True])
def test_a_worker_brings_along_nothing_that_is_large_and_not_needed(tmp_path: Path, of_a_file: bool) -> None:
    manifest = tmp_path / "snapshot.json"
    module = {"file": "module.py", "origin": "/authors/module.py", "package": False}
    manifest.write_text(json.dumps({"entry": "module", "modules": {"module": module}}))
    worker = Started(tmp_path)
    try:
        loaded = worker.load("module:answer", manifest if of_a_file else None)
        assert loaded["do"] == "ready", loaded
        for name in ("pathlib", "tempfile", "urllib.parse", "asyncio", "logging", "subprocess", "importlib.metadata"):
            assert worker.run(name)["status"] == "error", f"{name} is there"
        assert worker.run("sys")["value"] == 2
    finally:
        worker.close()
