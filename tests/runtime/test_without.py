"""A Python that was built where descriptors of processes and waitid(2) were not known: daemon and commands do without."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.conftest import Node, Running
from tests.world import World, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

WITHOUT = """
import os, signal
for module, name in ((os, "pidfd_open"), (os, "waitid"), (signal, "pidfd_send_signal")):
    vars(module).pop(name, None)
"""


class Poor(World):
    """A world whose commands have such a Python."""

    def command(self, *arguments: str | Path) -> list[str]:
        whole = super().command(*arguments)
        assert whole[1:3] == ["-m", "nectar.cli"]
        return [sys.executable, "-c", f"{WITHOUT}\nfrom nectar.cli import main\nmain()", *whole[3:]]


@pytest.fixture
def poor(tmp_path: Path) -> Iterator[Running]:
    """A handler whose daemon and workers have it, too."""
    world = Poor(tmp_path)
    source = tmp_path / "chameleon.py"
    shutil.copy(Path(__file__).with_name("chameleon.py"), source)
    world.node("node1")
    world.run("launch", source, "--attach", "node1")
    world.run("stop", "chameleon")
    (package,) = world.home.runtimes.glob("*/api/nectar/__init__.py")
    package.chmod(0o600)
    package.write_text(
        package.read_text().replace("from __future__ import annotations\n", f"from __future__ import annotations\n{WITHOUT}")
    )
    world.run("start", "chameleon")
    yield Running(world, source)
    world.close()


def test_workers_die_and_daemons_are_stopped_and_killed(poor: Running) -> None:
    node = Node("node1", poor.home.computations("node1"))
    daemon = poor.daemon
    before = poor.processes()
    assert node.ask("family 60", deadline=1)["status"] == "timeout"
    poor.until_none_but_the_worker(before)
    assert node.ask("number 1")["result"] == {"value": 1}
    poor.world.run("restart", poor.name)
    assert poor.daemon != daemon
    os.kill(poor.daemon, signal.SIGSTOP)
    poor.world.run("stop", poor.name, "--timeout", "1")
    assert poor.processes() == []
    poor.world.run("start", poor.name)
    os.kill(poor.daemon, signal.SIGKILL)
    until(lambda: poor.world.json("view")["handlers"][0]["status"] == "stopped", "its end is seen")
    poor.world.run("start", poor.name)
    assert node.ask("number 2")["result"] == {"value": 2}
    (package,) = poor.home.runtimes.glob("*/api/nectar/__init__.py")
    assert WITHOUT in package.read_text()
