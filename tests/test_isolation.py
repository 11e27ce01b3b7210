"""The tests themselves: none can touch the real home directory, and one that leaves a process is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nectar.home import Home
from tests.conftest import REAL_HOME
from tests.world import World, processes, reap, until


def test_the_home_directory_of_a_test_is_not_the_real_one() -> None:
    assert Path.home() != REAL_HOME
    assert not Home.at(None).data_dir.is_relative_to(REAL_HOME)


def test_neither_is_that_of_a_command(world: World) -> None:
    node = Path.home() / ".bee-hive" / "alice" / "data" / "computation"
    node.mkdir(parents=True)
    command = [sys.executable, "-m", "nectar.cli", "submit", "alice", "abc", "--no-wait"]
    comp_id = subprocess.run(command, check=True, capture_output=True, text=True, cwd=world.directory).stdout.strip()
    assert (node / f"{comp_id}.pending").exists()


def test_a_process_that_is_left_is_found_and_ended(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(tmp_path)])
    until(lambda: left.pid in processes(tmp_path), "the process is found")
    found = reap(tmp_path, seconds=0.1)
    assert len(found) == 1
    assert str(left.pid) in found[0]
    assert left.wait(60) == -9


def test_a_process_is_found_by_its_environment_too(tmp_path: Path) -> None:
    environment = {**os.environ, "SOMETHING": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment) as left:
        until(lambda: left.pid in processes(tmp_path), "the process is found")
    assert not processes(tmp_path)
