"""What is said of frames is so: the fields that frames hold, of a real pool and a real worker, are those of the two tables."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime import frames, start
from nectar.testing.sample import sample
from tests.units.machines import Stage

if TYPE_CHECKING:
    from tests.soak.machine import Process

CODE = """
import nectar

@nectar.handler
def answer(comp):
    return {"good": 1}[comp.query]
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
        answer = frames.receive(self._channel.recv, self._reader)
        assert answer is not None
        return answer[0]

    def load(self, entry: str) -> dict[str, Any]:
        loading: dict[str, Any] = {"entry": entry, "handler": "h", "plugins": [], "snapshot": None, "directory": self.directory}
        return self.ask({"do": "load", "parent": os.getpid(), "pluggy": "/", "memory": None, "limits": {}, **loading})

    def close(self) -> int:
        self._channel.close()
        return self.process.wait(60)


def fields(header: dict[str, Any]) -> set[str]:
    return header.keys() - {"do"}


def test_what_the_daemon_says_holds_what_its_table_says() -> None:
    stage = Stage(recycle_after=1)
    said: dict[str, set[str]] = {}
    receive = stage.machine.receive

    def listen(process: Process) -> dict[str, Any] | None:
        header = receive(process)
        if header is not None:
            said[header["do"]] = fields(header)
        return header

    stage.machine.receive = listen  # type: ignore[method-assign]
    stage.begin().run("a")
    stage.go(0)
    stage.answer("a")
    stage.go(0)
    assert said == table("daemon")
    assert said["stop"] == set()


@pytest.mark.parametrize(("entry", "loaded"), [("module:answer", "ready"), ("module:nothing", "failed"), ("nowhere", "failed")])
def test_what_a_worker_says_holds_what_its_table_says(tmp_path: Path, entry: str, loaded: str) -> None:
    expected = table("worker")
    assert expected.keys() == {"ready", "failed", "answer"}
    worker = Started(tmp_path)
    try:
        first = worker.load(entry)
        assert first["do"] == loaded
        assert fields(first) == expected[loaded]
        for number, query in enumerate(("good", "bad") if loaded == "ready" else ()):
            body = sample(query, comp_id="a").to_json()
            answer = worker.ask({"do": "run", "job": number, "comp_id": "a", "timestamp": 0.0}, body)
            assert (answer["do"], answer["job"], answer["status"]) == ("answer", number, "success" if query == "good" else "error")
            assert fields(answer) == expected["answer"]
    finally:
        code = worker.close()
    assert code == (0 if loaded == "ready" else 1)
