"""A daemon of 0.1.0 that runs is seen, asked and ended as one of today's, and so is what it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.compat.before import HANDLERS, Left
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once


class Running:
    """``twofold``, as if its daemon had been started by 0.1.0 and were running still.

    :ivar worker: PID of its worker.
    """

    def __init__(self, left: Left) -> None:
        self.left = left
        self.daemon, self.worker = left.stand_in("twofold")

    @property
    def works(self) -> bool:
        return self.daemon.poll() is None and is_there(self.worker)

    def until_gone(self) -> None:
        until(lambda: self.daemon.poll() is not None, "the daemon has ended")
        until(lambda: not is_there(self.worker), "its worker has ended")


@pytest.fixture
def running(left: Left) -> Iterator[Running]:
    running = Running(left)
    yield running
    running.daemon.send_signal(signal.SIGCONT)
    if is_there(running.worker):
        os.kill(running.worker, signal.SIGKILL)


def is_there(pid: int) -> bool:
    """Whether there is a process, and not only what is left of one."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(told) and not told.startswith("Z")


def test_it_is_seen(running: Running) -> None:
    left = running.left
    (shown,) = [each for each in left.json("view")["handlers"] if each["name"] == "twofold"]
    assert (shown["status"], shown["pid"]) == ("running", running.daemon.pid)
    detail = left.json("view", "twofold")
    assert detail["daemon"]["state"] == "serving" and set(detail["daemon"]["aliases"]) == {"carol", "dave"}
    assert "1 running" in left.run("view").stdout and "🟢 running" in left.run("view", "twofold").stdout
    numbers = left.run("metrics").stdout
    assert (
        'nectar_handler_up{handler="twofold"} 1.0' in numbers
        and 'nectar_questions_total{handler="twofold",outcome="error"}' in numbers
    )
    assert 'nectar_workers_started_total{handler="twofold"}' not in numbers, "of which it does not tell"
    told = left.run("doctor", code=None).stdout
    assert "twofold: " not in told
    record = left.registry()["twofold"]
    assert (record["status"], record["pid"]) == ("running", running.daemon.pid)
    assert running.works


def test_another_is_not_put_in_its_place(running: Running) -> None:
    for verb in (["start", "twofold"], ["launch", "twofold", "--handler", "triple"], ["remove", "twofold"]):
        assert "running" in running.left.run(*verb, code=4).stderr
    assert running.works and running.left.home.socket("twofold").exists()


def test_attach_and_detach(running: Running) -> None:
    left = running.left
    left.run("attach", "twofold", "nobody")
    assert "nobody" in left.json("view", "twofold")["daemon"]["aliases"]
    left.run("detach", "twofold", "frank", "dave")
    assert left.registry()["twofold"]["attached_aliases"] == ["carol", "nobody"]
    assert set(left.json("view", "twofold")["daemon"]["aliases"]) == {"carol", "nobody"}
    left.run("attach", "twofold", "alice", code=4)
    assert running.works


@pytest.mark.parametrize("held_up", [False, True], ids=["answers", "hangs"])
def test_stop(running: Running, held_up: bool) -> None:
    left = running.left
    if held_up:
        running.daemon.send_signal(signal.SIGSTOP)
    assert left.run("stop", "twofold", "--timeout", "1").stdout == "✅ Handler stopped: twofold\n"
    running.until_gone()
    assert not left.home.socket("twofold").exists()
    record = left.registry()["twofold"]
    assert (record["status"], record["desired"], record["pid"]) == ("stopped", "stopped", None)
    assert record["attached_aliases"] == HANDLERS["twofold"]
    left.run("start", "twofold")
    assert left.run("submit", "carol", "four").stdout == "12\n"


def test_stop_of_one_that_was_robbed(running: Running) -> None:
    """Unlike today's, it does not look for its own lock; its worker's mark says whose it is."""
    left = running.left
    left.home.lock("twofold").unlink()
    left.home.socket("twofold").unlink()
    left.run("stop", "twofold", "--timeout", "1")
    running.until_gone()
    left.run("start", "twofold")
    assert left.run("submit", "carol", "four").stdout == "12\n"


def test_remove_of_one_that_runs(running: Running) -> None:
    running.left.run("remove", "--stop", "twofold")
    running.until_gone()
    assert "twofold" not in running.left.registry()
    assert not list(running.left.home.handlers.glob("twofold.*"))


@pytest.mark.uv
def test_restart(running: Running) -> None:
    left = running.left
    left.run("restart", "twofold")
    running.until_gone()
    record = left.registry()["twofold"]
    assert record["status"] == "running" and record["pid"] != running.daemon.pid
    assert record["attached_aliases"] == HANDLERS["twofold"]
    left.until_answered(["waiting"], alias="dave")
    assert json.loads(left.complete("waiting", alias="dave").read_bytes())["result"] == {"value": 12}


@pytest.mark.uv
def test_a_restart_that_fails_leaves_it(running: Running) -> None:
    module = running.left.directory / "twofold" / "pyproject.toml"
    module.write_text(module.read_text().replace("triple =", "thrice ="))
    assert running.left.run("restart", "twofold", code=None).returncode != 0
    assert running.works


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_what_was_left_behind_is_ended(left: Left, verb: str) -> None:
    left.go()
    mine, anothers = left.orphan("talker"), left.orphan("counter")
    left.run(verb, "talker")
    until(lambda: mine.poll() is not None, "what its worker left has ended")
    assert anothers.poll() is None


def test_nobody_else_ends_its_worker(running: Running) -> None:
    running.left.go()
    running.left.run("start", "talker", "counter")
    running.left.run("stop", "talker", "counter")
    running.left.run("gc")
    assert running.works
