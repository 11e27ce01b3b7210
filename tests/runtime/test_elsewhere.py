"""A system without what Linux alone has: daemon, workers and commands do without, and say what they cannot do there."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import address, features, namelock
from tests import needs
from tests.elsewhere import poorer
from tests.runtime.conftest import Node, Running, descriptors
from tests.world import World, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.once, needs.no_wall("none can stand on such a system")]

LIMITED = """# /// script
# dependencies = []
# [tool.nectar]
# memory_limit = "512MiB"
# ///
"""
UNTOLD = "memory_limit ends no worker here: the system does not tell how much memory a process has"


class Poor(World):
    """A world whose commands run on such a system.

    :param path: where nectar lies as it is there.
    """

    def __init__(self, directory: Path, path: Path) -> None:
        super().__init__(directory)
        self._path = path

    def command(self, *arguments: str | Path) -> list[str]:
        whole = super().command(*arguments)
        assert whole[1:3] == ["-m", "nectar.cli"]
        code = f"import sys; sys.path.insert(0, {str(self._path)!r}); from nectar.cli import main; main()"
        return [sys.executable, "-c", code, *whole[3:]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nectar lies as it is on such a system, once for all tests: they would compile it anew for each."""
    path = tmp_path_factory.mktemp("installed")
    copy = path / "nectar"
    shutil.copytree(Path(features.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    place = copy / "features.py"
    if features.has_proc():
        place.write_text(poorer(place.read_text()))
    return path


@pytest.fixture
def poor(tmp_path: Path, installed: Path) -> Iterator[Running]:
    """A handler there, with a limit of its memory, in a data dir whose path is longer than a socket's address may be."""
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    world = Poor(directory, installed)
    source = directory / "chameleon.py"
    source.write_text(LIMITED + Path(__file__).with_name("chameleon.py").read_text())
    world.node("node1")
    said = world.run("launch", source, "--attach", "node1")
    assert UNTOLD in said.stderr
    yield Running(world, source)
    world.close()


def test_daemons_are_stopped_killed_and_started(poor: Running) -> None:
    node = Node("node1", poor.home.computations("node1"))
    assert node.ask("spin", deadline=0.3)["status"] == "timeout"
    assert node.ask("kill")["status"] == "error"
    assert node.ask("number 1")["result"] == {"value": 1}
    os.kill(poor.daemon, signal.SIGSTOP)
    poor.world.run("stop", poor.name, "--timeout", "1")
    until(lambda: poor.processes() == [], "the workers have seen that their channel is closed")
    poor.world.run("start", poor.name)
    os.kill(poor.daemon, signal.SIGKILL)
    until(lambda: poor.world.json("view")["handlers"][0]["status"] == "stopped", "its end is seen")
    poor.world.run("start", poor.name)
    assert node.ask("number 2")["result"] == {"value": 2}
    a_socket_that_was_removed_is_made_anew_while_files_are_watched(poor, node)


def a_socket_that_was_removed_is_made_anew_while_files_are_watched(poor: Running, node: Node) -> None:
    socket = poor.home.socket(poor.name)
    assert len(os.fsencode(socket)) > address.LONGEST
    socket.unlink()
    until(socket.exists, "it is there again")
    until(lambda: (poor.world.json("view", poor.name)["daemon"] or {}).get("pid") == poor.daemon, "it answers there")
    assert node.ask("number 3")["result"] == {"value": 3}


def test_a_limit_that_cannot_be_looked_after_is_said_and_refuses_nothing(poor: Running) -> None:
    node = Node("node1", poor.home.computations("node1"))
    assert node.ask("number 1")["result"] == {"value": 1}
    (line,) = [line for line in poor.world.run("view", poor.name).stdout.splitlines() if line.startswith("  Warnings:")]
    assert line.endswith(UNTOLD)
    assert poor.world.json("view", poor.name)["daemon"]["warnings"] == [UNTOLD]
    assert UNTOLD in poor.log()
    assert UNTOLD in poor.world.run("restart", poor.name).stderr
    os.kill(poor.processes()[0], signal.SIGKILL)
    assert node.ask("number 2")["result"] == {"value": 2}
    assert poor.log().count(UNTOLD) == 2  # once for each daemon, and not for each worker


def test_nothing_of_linux_is_used_there(poor: Running) -> None:
    """Or the tests above would say nothing of a system without it."""
    assert not [target for target in descriptors(poor.daemon) if "inotify" in target or "pidfd" in target]
    orphan = poor.world.node("node2")
    poor.world.run("attach", poor.name, "node2")
    go = poor.source.with_name("go")
    Node("node2", orphan).put("o", f"wait {go}")
    Node("node2", orphan).until_claimed("o")
    (worker,) = poor.processes()
    os.kill(poor.daemon, signal.SIGKILL)
    until(lambda: not namelock.is_running(poor.home, poor.name), "its end is seen")
    assert poor.processes() == [worker]  # nothing has killed it with its daemon
    go.touch()
    until(lambda: poor.processes() == [], "it has seen that its channel is closed")
