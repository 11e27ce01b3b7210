"""Two worlds with one path and one name, as a container and its host have them: neither touches the other's processes."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime import chameleon
from tests.runtime.conftest import Node
from tests.soak.ground import need_root
from tests.soak.table import portion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.table import Row
    from tests.world import World


class Container:
    """A PID and a mount namespace of their own, in which a directory has the data dir's place.

    :ivar process: what runs in it; it ends when its standard input does, and everything in it with it.
    """

    def __init__(self, world: World, directory: Path) -> None:
        self._world = world
        wrap = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        mount = shlex.join(["mount", "--bind", str(directory), str(world.home.data_dir)])
        self.process = subprocess.Popen(
            [*wrap, "sh", "-c", f"{mount} && echo ready && while read line; do eval $line; echo done; done"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=world.directory,
        )
        if self._line() != "ready":
            self.close()
            pytest.skip("no namespaces can be made here")

    def run(self, *arguments: str) -> None:
        """Run ``nectar`` in it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{shlex.join(self._world.command(*arguments))} >&2\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def world(world: World) -> World:
    """With a handler that is stopped."""
    need_root()
    source = world.directory / "chameleon.py"
    shutil.copy(Path(chameleon.__file__), source)
    world.node()
    world.run("launch", source, "--attach", "alice")
    world.run("stop", "chameleon")
    return world


@pytest.fixture
def copied(world: World) -> Iterator[tuple[Container, Node]]:
    """A container that has a copy of the data dir, and its node."""
    copy = world.directory / "copy"
    subprocess.run(["cp", "-a", world.home.data_dir, copy], check=True)
    made = Container(world, copy)
    yield made, Node("alice", copy / "alice" / "data" / "computation")
    made.close()


@pytest.fixture
def container(world: World) -> Iterator[Container]:
    """A container that has the same data dir."""
    made = Container(world, world.home.data_dir)
    yield made
    made.close()


def test_a_copy_of_the_data_dir_in_a_container(world: World, copied: tuple[Container, Node], row: Row) -> None:
    container, node = copied
    rounds = portion(20, least=1)
    right = 0
    for number in range(rounds):
        container.run("start", "chameleon")
        node.put(f"q{number}", "sleep 6")
        node.until_claimed(f"q{number}")
        for verb in ("start", "restart", "stop"):
            world.run(verb, "chameleon")
        right += node.answer(f"q{number}")["status"] == "success"
        container.run("stop", "chameleon")
    row(
        "a container has a copy of the data dir at its path: what the host starts, restarts and stops touches nothing of it",
        rounds=rounds,
        runs_that_were_left_alone=right,
    )
    assert right == rounds


def test_a_data_dir_that_is_shared_with_a_container(world: World, container: Container, row: Row) -> None:
    container.run("start", "chameleon")
    refused = world.run("start", "chameleon", code=4).stderr
    node = Node("alice", world.home.computations("alice"))
    answered = node.ask("number 3")["result"] == {"value": 3}
    world.run("stop", "chameleon")
    stopped = not world.home.socket("chameleon").exists()
    row(
        "a container shares the data dir: there is one daemon, whichever side started it, and each side can stop it",
        refused="is running" in refused,
        answered=answered,
        stopped=stopped,
    )
    assert "is running" in refused
    assert answered
    assert stopped
