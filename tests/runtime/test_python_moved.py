"""The Python below a daemon that runs is moved away, as an upgrade does it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.conftest import Node, Running
from tests.runtime.test_inherited import connected
from tests.world import paused, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.once

SPY = """
import os, sys

def _spy(event, arguments):
    if event == "import":
        descriptor = os.open({file!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, arguments[0].encode() + b"\\n")
        os.close(descriptor)

sys.addaudithook(_spy)
"""
"""Added to what a daemon imports: it writes down each import."""
NONSENSE = [b'{"do": "status"}', b"\0{", b"{\0", b"\xff\xfe{\0", b"\xef\xbb\xbf{", b"\0\0\0{", b"\xff", b"[" * 9999]
"""What may be taken for text of all kinds."""


def launch(world: World, *flags: str) -> tuple[Running, Node]:
    source = world.file("chameleon.py", Path(__file__).with_name("chameleon.py").read_text())
    node = Node("alice", world.node("alice"))
    world.run("launch", source, "--attach", "alice", *flags)
    return Running(world, source), node


def put_through_everything(running: Running, node: Node) -> None:
    """What a daemon may meet while its Python is gone, but for a worker that dies."""
    for number, raw in enumerate(NONSENSE):
        (node.directory / f"nonsense{number}.pending").write_bytes(raw)
        with connected(running.home.socket(running.name)) as client:
            client.sendall(raw + b"\n")
    for number in range(len(NONSENSE)):
        assert node.answer(f"nonsense{number}")["status"] == "error"
    for query in ("raise ü", "speak \x1b[31mü", "number 1"):
        node.ask(query)
    running.until_logged("\\x1b[31m")
    running.until_logged("Traceback (most recent call last)")
    other = running.attached()
    assert other.ask("number 2")["result"] == {"value": 2}
    (other.directory / "link.pending").symlink_to("nowhere")
    with paused(running.daemon):
        shutil.rmtree(other.directory)
    running.until_logged("the directory is not there any more")
    running.detach(other)
    assert node.ask("number 3")["result"] == {"value": 3}


def test_a_daemon_that_serves_imports_nothing_more(fresh: World) -> None:
    running, node = launch(fresh)
    fresh.run("stop", running.name)
    imported = fresh.directory / "imported"
    (watcher,) = fresh.home.runtimes.glob("*/api/nectar/runtime/daemon/aliases/watcher.py")
    watcher.write_text(watcher.read_text() + SPY.format(file=str(imported)))
    fresh.run("start", running.name)
    before = imported.read_text()
    assert "nectar.runtime.daemon.control" in before
    put_through_everything(running, node)
    worker = node.ask("loaded")["result"]["value"]
    node.put("dies", "kill")
    assert node.answer("dies")["status"] == "error"
    assert node.ask("loaded")["result"]["value"] != worker
    node.put("overdue", "sleep 60", deadline=1)
    assert node.answer("overdue")["status"] == "timeout"
    fresh.run("stop", running.name)
    assert imported.read_text().removeprefix(before) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="a prefix of links")
def test_a_python_that_is_moved_away_and_comes_back(fresh: World) -> None:
    """What is loaded goes on; a worker that dies is replaced as soon as there is a Python again, and why not before is said."""
    prefix = fresh.directory / "python"
    python = copy_of_python(prefix)
    running, node = launch(fresh, "--python", str(python))
    daemon = running.daemon
    prefix.rename(fresh.directory / "gone")
    put_through_everything(running, node)
    os.kill(running.worker(), signal.SIGKILL)
    until(lambda: running.status()["failing"], "it is told that there is no worker")
    assert f"environment is not there any more: {python}" in running.status()["failing"]
    assert "nectar restart" in running.status()["failing"]
    node.put("waits", "number 4")
    (fresh.directory / "gone").rename(prefix)
    assert node.answer("waits")["result"] == {"value": 4}
    assert running.daemon == daemon
    assert running.status()["failing"] is None


def copy_of_python(prefix: Path) -> Path:
    """This Python at another place: its program, and links to all else."""
    base = Path(sys.base_prefix)
    program = Path(os.path.realpath(sys.executable))
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    for entry in (base / "lib").iterdir():
        (prefix / "lib" / entry.name).symlink_to(entry)
    (prefix / "include").symlink_to(base / "include")
    return Path(shutil.copy(program, prefix / "bin" / program.name))
