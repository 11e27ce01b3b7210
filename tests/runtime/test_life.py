"""A daemon's life and its ends: what a stop, a kill or a broken conversation leaves, and what the next daemon makes of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from nectar import namelock
from nectar.protocol import MAX_LINE, ask
from tests import needs
from tests.runtime.conftest import EITHER_WAY
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.conftest import Running

pytestmark = pytest.mark.once


@pytest.fixture
def running(chameleon: Running) -> Iterator[Running]:
    """The handler, started again where the test before stopped it, with nothing attached."""
    if chameleon.world.json("view")["handlers"][0]["status"] != "running":
        chameleon.world.run("start", chameleon.name)
    yield chameleon
    aliases = chameleon.world.json("view")["handlers"][0]["attached_aliases"]
    if aliases:
        chameleon.world.run("detach", chameleon.name, *aliases)


@EITHER_WAY
def test_a_stop_leaves_no_process_and_what_waits(running: Running) -> None:
    node = running.attached()
    node.ask("number 1")
    running.world.run("stop", running.name)
    assert running.processes() == []
    node.put("later", "number 2")
    assert node.left() == ["later.pending"]
    running.world.run("start", running.name)
    assert node.answer("later")["result"] == {"value": 2}


@EITHER_WAY
def test_a_stop_lets_what_runs_finish(running: Running) -> None:
    node = running.attached()
    node.put("running", "sleep 1")
    node.until_claimed("running")
    # Over the socket, because a command may take longer to start than this runs. From its reply on nothing is claimed.
    ask(running.home.socket(running.name), {"do": "stop", "timeout": 60}, timeout=30)
    node.put("waiting", "number 1")
    until(lambda: not namelock.is_running(running.home, running.name), "it has ended")
    assert node.answer("running", seconds=0.1)["status"] == "success"
    assert node.left() == ["waiting.pending"]
    running.world.run("start", running.name)
    assert node.answer("waiting")["status"] == "success"


def test_what_a_stop_interrupts_is_run_again_by_the_next_daemon(running: Running) -> None:
    node = running.attached()
    node.put("long", "sleep 8")
    node.until_claimed("long")
    ask(running.home.socket(running.name), {"do": "stop", "timeout": 0}, timeout=30)
    until(lambda: not running.processes(), "the daemon has ended")
    assert node.left() == []
    assert [path.name.split(".")[:2] for path in (node.directory / ".nectar").glob("long.*")] == [["long", "1"]]
    until(lambda: running.world.run("start", running.name, code=None).returncode == 0, "it starts")
    assert node.answer("long")["status"] == "success"


@EITHER_WAY
@needs.death_signal
def test_a_daemon_that_is_killed_takes_its_workers_along_and_loses_nothing(running: Running) -> None:
    node = running.attached()

    def kill_and_start() -> None:
        node.put("behind", "number 7")
        os.kill(running.daemon, signal.SIGKILL)
        until(lambda: not running.processes(), "its workers are gone")
        running.world.run("start", running.name)

    spins = running.notes / "spins"
    node.put("spin", f"spin {spins}", deadline=60)
    until(spins.exists, "it runs")
    kill_and_start()
    assert node.answer("spin")["result"] == {"value": 1}
    assert node.answer("behind")["result"] == {"value": 7}
    node.put("native", "native", deadline=3)
    node.until_claimed("native")
    kill_and_start()
    assert node.answer("native")["status"] == "timeout"
    assert node.answer("behind")["result"] == {"value": 7}


def test_view_sees_that_a_daemon_was_killed(running: Running) -> None:
    os.kill(running.daemon, signal.SIGKILL)
    until(lambda: "dead     chameleon" in running.world.run("view").stdout, "view says so")
    running.world.run("start", running.name)


@EITHER_WAY
def test_a_terminated_daemon_finishes_what_runs(running: Running) -> None:
    node = running.attached()
    node.put("running", "sleep 1")
    node.until_claimed("running")
    os.kill(running.daemon, signal.SIGTERM)
    assert node.answer("running")["status"] == "success"
    until(lambda: not running.processes(), "it has ended")
    until(lambda: not namelock.is_running(running.home, running.name), "its name is free")


def test_what_a_terminal_sends_is_not_for_a_daemon(running: Running) -> None:
    node = running.attached()
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(running.daemon, number)
        assert node.ask("number 3")["result"] == {"value": 3}


def test_a_daemon_that_serves_keeps_no_stream_of_who_started_it(running: Running) -> None:
    links = [os.readlink(f"/proc/{running.daemon}/fd/{number}") for number in (0, 1, 2)]
    assert links == [os.devnull] * 3


def test_the_registry_is_the_truth_without_a_request(running: Running) -> None:
    node = running.node()
    registry = running.home.registry
    records = json.loads(registry.read_bytes())
    records[running.name]["attached_aliases"] = [node.alias]
    aside = registry.with_suffix(".aside")
    aside.write_text(json.dumps(records))
    aside.rename(registry)
    assert node.ask("number 4")["result"] == {"value": 4}


@pytest.mark.parametrize("odd", ['["{alias}", 5]', "{nested}"])
def test_a_registry_that_somebody_has_spoilt_ends_no_daemon(running: Running, odd: str) -> None:
    node = running.attached()
    registry = running.home.registry
    good, daemon = registry.read_bytes(), running.daemon
    records = json.loads(good)
    records[running.name]["attached_aliases"] = "here"
    aside = registry.with_suffix(".aside")
    nested = 100_000 * "[" + 100_000 * "]"
    aside.write_text(json.dumps(records).replace('"here"', odd.format(alias=node.alias, nested=nested)))
    aside.rename(registry)
    time.sleep(2.5)  # it looks once a second
    try:
        assert node.ask("number 4")["result"] == {"value": 4}
        assert running.daemon == daemon
    finally:
        registry.write_bytes(good)


@EITHER_WAY
def test_a_deadline_of_years_breaks_no_stop(running: Running) -> None:
    node = running.attached()
    node.put("long", "native", deadline=10**9)
    node.until_claimed("long")
    running.world.run("stop", running.name, "--timeout", "1.5")
    assert running.log().splitlines()[-1].endswith("stopped")
    (claim,) = (node.directory / ".nectar").glob("long.*")
    claim.unlink()
    running.world.run("start", running.name)


def test_an_alias_that_another_process_holds_is_told_and_taken_when_it_is_free(running: Running) -> None:
    from nectar.spool.spool import Spool

    node = running.node()
    held = Spool.open(node.directory, max_bytes=1000)
    refused = running.world.run("attach", running.name, node.alias, code=None)
    assert refused.returncode == 4
    assert "held by another" in refused.stderr
    node.put("q", "number 1")
    held.close()
    running.attach(node)
    assert node.answer("q")["status"] == "success"


@pytest.mark.parametrize(
    "sent", [b"hello\n", b"{}\n", b'{"schema": 1, "do": "dance"}\n', b'{"schema": 1, "do": "stop", "timeout": "x"}\n']
)
def test_nonsense_on_the_socket_is_refused(running: Running, sent: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(running.home.socket(running.name)))
        client.sendall(sent)
        assert json.loads(client.recv(65536))["ok"] is False
    assert running.status()["state"] == "serving"


def test_clients_that_say_nothing_or_too_much_hold_nobody_up(running: Running) -> None:
    path = str(running.home.socket(running.name))
    silent = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for client in silent:
        client.connect(path)
    with socket.socket(socket.AF_UNIX) as endless:
        endless.connect(path)
        endless.settimeout(30)
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            endless.sendall(b"x" * (MAX_LINE + 1_000_000))
    assert running.status()["ok"] is True
    assert running.attached().ask("number 5")["result"] == {"value": 5}
    for client in silent:
        client.close()


def test_the_socket_and_the_directories_are_for_this_user_alone(running: Running) -> None:
    home = running.home
    assert home.socket(running.name).stat().st_mode & 0o777 == 0o600
    assert home.log(running.name).stat().st_mode & 0o777 == 0o600
    for directory in (home.nectar, home.handlers, home.logs, home.envs):
        assert directory.stat().st_mode & 0o777 == 0o700
