"""A daemon's first worker is started before most of the daemon is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nectar.protocol import Assignment, EntryPoint, Loading, decode, encode
from nectar.runtime.daemon.workers.kernel import System

pytestmark = pytest.mark.anywhere

LAZY = "import sys; sys.stdin.read()"
"""What a worker runs here: it ends by itself."""


def loading(python: str) -> Loading:
    return Loading(python=python, entry=EntryPoint("b", "a:b"), directory="/")


def test_the_first_that_is_asked_for_is_the_one_that_was_started_ahead(tmp_path: Path) -> None:
    script = tmp_path / "start.py"
    script.write_text(LAZY)
    system = System()
    system.start_ahead(loading(sys.executable), str(script), "owner")
    first, second = (system.spawn(loading(sys.executable), str(script), "owner") for _ in range(2))
    for spawned in (first, second):
        assert re.fullmatch(r"owner/[0-9a-f]{16}", spawned.token)
        system.signal(spawned.pid)
        system.wait(spawned.pid)
        system.close(spawned.channel)
        system.close(spawned.printed)
    assert first.token != second.token
    assert first.pid != second.pid
    assert [*system._children] == []


def test_one_that_cannot_be_started_is_told_when_it_is_asked_for() -> None:
    system = System()
    system.start_ahead(loading("/nowhere/python"), "start.py", "owner")
    with pytest.raises(FileNotFoundError):
        system.spawn(loading("/nowhere/python"), "start.py", "owner")


def test_a_worker_that_ends_before_there_is_anybody_to_notice_is_told(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 9\n")
    python.chmod(0o755)
    assignment = Assignment(name="h", data_dir=str(tmp_path), loading=loading(str(python)))
    program = "from nectar.runtime.daemon.beginning import main; main()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdin is not None and daemon.stdout is not None
        daemon.stdin.write(encode(assignment.to_mapping()))
        daemon.stdin.flush()
        told = decode(daemon.stdout.read())  # until its end, for which it needs nobody
    assert (told["state"], told["kind"]) == ("failed", "failed")
    assert "exit code 9" in told["message"]
