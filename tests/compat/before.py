"""A world that another version has left, and what that version reads of it.

What stands here as a literal is 0.1.0's own, and never follows today's code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.world import World, until

if TYPE_CHECKING:
    from collections.abc import Iterable

HANDLERS = {
    "greeter": ["bob"],
    "secretive": ["erin"],
    "twofold": ["carol", "dave", "frank"],
    "talker": ["grace"],
    "counter": ["alice"],
}
"""Each handler and its aliases. Of the first two the stop was in order; frank has gone."""
KILLED = ("twofold", "talker", "counter")
CLAIM = re.compile(r"(?P<comp_id>.+)\.(?P<attempt>[1-9])\.(?P<token>[0-9a-f]{16})", re.DOTALL)
"""The name of a claim, as 0.1.0 looks for it."""


class Left(World):
    """:param replies: what a daemon of that version replied to each request."""

    def __init__(self, directory: Path, replies: dict[str, dict[str, Any]]) -> None:
        super().__init__(directory)
        self._replies = replies

    def go(self) -> None:
        """Let the questions be answered that wait for this."""
        (self.directory / "go").touch()

    def claims(self, alias: str = "alice") -> list[str]:
        """Names of claims."""
        return sorted(path.name for path in (self.home.computations(alias) / ".nectar").iterdir() if CLAIM.fullmatch(path.name))

    def complete(self, comp_id: str, *, alias: str = "alice") -> Path:
        return self.home.computations(alias) / f"{comp_id}.complete"

    def spools(self) -> dict[str, bytes]:
        """All files of all nodes, by path."""
        files = [path for alias in self.home.aliases() for path in self.home.computations(alias).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in files}

    def stand_in(self, name: str) -> tuple[subprocess.Popen[str], int]:
        """Start what stands in for a daemon of that version, and return it, and the PID of its worker."""
        script = Path(__file__).with_name("standin.py")
        command = [sys.executable, "-I", str(script), str(self.home.data_dir), name, json.dumps(self._replies)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    def mark(self, name: str) -> str:
        """What marks a handler's processes, as 0.1.0 makes it."""
        return hashlib.sha256(os.fsencode(self.home.data_dir) + b"\0" + name.encode()).hexdigest()[:16]

    def orphan(self, name: str) -> subprocess.Popen[str]:
        """Start a process that a worker of that version has left; the daemon's PID is another process's by now, as it is where PIDs
        come round.
        """
        token = f"{self.mark(name)}/{os.getpid()}-1/0123456789abcdef"
        process = subprocess.Popen(["sleep", "600"], env={**os.environ, "NECTAR_WORKER": token}, start_new_session=True, text=True)
        self._started.append(process)
        return process

    def until_answered(self, ids: Iterable[str], *, alias: str = "alice") -> None:
        for comp_id in ids:
            until(self.complete(comp_id, alias=alias).exists, f"{comp_id} is answered")


def read_as_before(world: World) -> dict[str, dict[str, Any]]:
    """The registry's records, each as 0.1.0 needs it: a field that it would not understand fails."""
    kinds: dict[str, tuple[type, ...]] = {
        "status": (str,),
        "desired": (str,),
        "attached_aliases": (list,),
        "handler": (str,),
        "source": (dict,),
        "environment": (str,),
        "python": (str,),
        "entry": (str,),
        "handler_name": (str,),
        "asked_entry": (str, type(None)),
        "settings": (dict,),
        "effective": (dict,),
        "pid": (int, type(None)),
        "started": (int, float, type(None)),
        "created": (int, float, type(None)),
        "version": (str,),
    }
    records: dict[str, dict[str, Any]] = {name: record for name, record in world.registry().items() if isinstance(record, dict)}
    for name, record in records.items():
        for field, allowed in kinds.items():
            assert type(record[field]) in allowed, f"{name}: {field} is {record[field]!r}"
        assert {record["status"], record["desired"]} <= {"running", "stopped"}
        assert all(isinstance(alias, str) for alias in record["attached_aliases"])
        assert {"kind", "path", "requirement", "python", "downloads", "offline"} <= record["source"].keys()
    return records
