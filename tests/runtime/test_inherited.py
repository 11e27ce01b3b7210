"""What nectar has from whoever starts it: signals, descriptors, limits, variables, directories. None of it may matter."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import address
from tests import needs
from tests.runtime.conftest import Node, Running, descriptors, launched
from tests.world import PATIENCE, reap, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

pytestmark = pytest.mark.once

NO_RIGHT_OF_ROOT = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Before a command: permissions count for root too."""


def shell(script: str) -> list[str]:
    """Before a command: what a shell does first."""
    return ["sh", "-c", f'{script}; exec "$@"', "sh"]


REMOVED = shell('mkdir removed.$$; cd removed.$$; rmdir "$PWD"')
CLOSED = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
BARE = ["env", "-u", "PATH", "-u", "HOME", "-u", "LANG", "-u", "TMPDIR"]
ODD = {
    "blocked and ignored signals": ["env", "--block-signal", "--ignore-signal"],
    "closed streams, no variables, no rights": [*shell("umask 777"), *CLOSED, *BARE],
    "few descriptors, odd variables, all rights, no directory": [
        *shell("ulimit -n 128; umask 0; exec 7</etc/passwd"),
        *REMOVED,
        *("env", "LANG=odd", "LC_ALL=xx_YY.ISO-8859-1", "TMPDIR=/nowhere", "HOME="),
    ],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with launched(tmp_path_factory.mktemp("world"), "chameleon.py") as chameleon:
        yield chameleon


def call(world: World, wrap: list[str], *arguments: str | Path, code: int = 0) -> str:
    """Run a command of nectar's inside another one."""
    command = [*wrap, *world.command(*arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=world.directory, timeout=2 * PATIENCE)
    said = ended.stdout + ended.stderr
    assert ended.returncode == code, f"{command} ended with {ended.returncode}\n{said}"
    return said


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    address.connect(client, path)
    return client


def lives(running: Running, node: Node) -> None:
    """A question is answered, and a worker that dies is replaced by one that answers."""
    first = node.ask("loaded")["result"]["value"]
    (dying,) = running.status()["workers"]
    os.kill(running.worker(), signal.SIGKILL)
    until(
        lambda: [each["state"] for each in running.status()["workers"] if each["pid"] != dying["pid"]] == ["idle"], "a new worker"
    )
    assert node.ask("loaded")["result"]["value"] != first


@pytest.mark.skipif(sys.platform != "linux", reason="it is done with GNU's env")
@pytest.mark.parametrize("odd", ODD)
def test_whatever_is_inherited(fresh: World, odd: str) -> None:
    """Built, tried, launched, restarted and started so, a handler answers, a dead worker is replaced, and a stop is a stop."""
    source = fresh.directory / "chameleon.py"
    shutil.copy(Path(__file__).with_name("chameleon.py"), source)
    running = Running(fresh, source)
    node = Node("alice", fresh.node("alice"))
    call(fresh, ODD[odd], "test", source, "--query", "number 3", "--expect", "3")
    for command in (["launch", source, "--attach", "alice"], ["restart", "chameleon"], ["start", "chameleon"]):
        if command[0] == "start":
            call(fresh, ODD[odd], "stop", "chameleon")
            assert running.processes() == []
            assert reap(fresh.directory) == []
        call(fresh, ODD[odd], *command)
        lives(running, node)
        worker = running.worker()
        for pid in (worker, running.daemon):
            assert "/etc/passwd" not in descriptors(pid)
        state = Path(f"/proc/{worker}/status").read_text()
        masks = dict(line.split(":\t") for line in state.splitlines() if line.startswith(("SigBlk", "SigIgn")))
        assert int(masks["SigBlk"], 16) == 0
        assert {number for number in signal.Signals if int(masks["SigIgn"], 16) >> (number - 1) & 1} <= {
            signal.SIGPIPE,
            signal.SIGXFSZ,
        }


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of limits")
def test_many_aliases_under_a_low_soft_limit(running: Running) -> None:
    """The daemon takes what it may have, and code that relies on the limit, as select() does, has it as it was."""
    running.world.run("stop", "chameleon")
    call(running.world, shell("ulimit -Sn 256; ulimit -Sf 4000; ulimit -St 86400"), "start", "chameleon")
    nodes = [running.node() for _ in range(200)]
    running.attach(*nodes)
    lives(running, nodes[-1])
    limits = [Path(f"/proc/{pid}/limits").read_text() for pid in (running.daemon, running.worker())]
    for name, soft in (("Max open files", "256"), ("Max file size", str(4000 * 512)), ("Max cpu time", "86400")):
        of_daemon, of_worker = (next(line for line in limit.splitlines() if line.startswith(name)).split()[3:5] for limit in limits)
        assert of_worker == [soft, of_daemon[1]]
        assert of_daemon[0] == of_daemon[1]
    running.detach(*nodes)


def test_a_log_where_no_file_may_be_large(running: Running) -> None:
    running.world.run("stop", "chameleon")
    call(running.world, shell("ulimit -f 200"), "start", "chameleon")
    node = running.attached()
    for _ in range(2):
        assert node.ask("flood 1")["status"] == "success"
        # More often than once: of what is printed at once with so much, not all is kept.
        until(lambda: node.ask("speak still there") and "still there" in running.log(), "it is logged")
        running.home.log("chameleon").with_suffix(".log.1").stat()
    running.detach(node)


def test_more_aliases_than_there_is_room_for(running: Running) -> None:
    """Those that do not fit are refused, and for all that fit there is everything that they need."""
    running.world.run("stop", "chameleon")
    call(running.world, shell("ulimit -n 128"), "start", "chameleon")
    nodes = [running.node() for _ in range(50)]
    said = call(running.world, [], "attach", "chameleon", *(node.alias for node in nodes), code=4)
    assert "there is no room for it: this daemon may have 128 files open" in said
    assert "ulimit" in said
    assert running.world.registry()["chameleon"]["attached_aliases"] == []
    fitting = nodes[:35]
    running.attach(*fitting)
    with ExitStack() as stack:
        for _ in range(20):  # and for some who ask about it
            stack.enter_context(connected(running.home.socket("chameleon")))
        lives(running, fitting[-1])
        for node in fitting:
            assert node.ask("number 1")["status"] == "success"
    running.world.run("restart", "chameleon")
    running.attach(*nodes)
    lives(running, nodes[-1])
    running.detach(*nodes)


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux can root be without its rights")
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may enter everything")
@needs.no_wall("what was built is shown, wherever the source is now")
@pytest.mark.parametrize("how", ["closed", "removed"])
def test_a_source_directory_that_cannot_be_entered_any_more(world: World, how: str) -> None:
    source = world.file("away/twice.py", Path(__file__).with_name("chameleon.py").read_text())
    running = Running(world, source)
    node = Node("alice", world.node("alice"))
    call(world, NO_RIGHT_OF_ROOT if os.geteuid() == 0 else [], "launch", source, "--attach", "alice")
    shutil.rmtree(source.parent) if how == "removed" else source.parent.chmod(0)
    try:
        for _ in range(2):
            lives(running, node)
        node.ask("where")
        running.until_logged("at / ")
        assert running.log().count("cannot be entered") == 1
    finally:
        if how == "closed":
            source.parent.chmod(0o700)


def test_what_is_printed_without_a_newline_is_in_the_log(running: Running) -> None:
    node = running.attached()
    for number, text in enumerate(("step 1 ...", "step 2, "), 1):
        assert node.ask(f"mutter {text}")["status"] == "success"
        running.until_logged(f"PRINT   {node.alias} {node.alias}-{number}: {text}\n")
    running.detach(node)
