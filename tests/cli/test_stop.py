"""``nectar stop`` and ``nectar start``: a stop is a stop, and a start finds everything as it was."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.soak.ground import gone, mount, need_root, unmount
from tests.world import PATIENCE, TWICE, processes, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.uv

STUBBORN = """
    import os, signal, subprocess, sys, time
    from nectar import handler

    @handler
    def h(comp):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        open(os.path.join(os.path.dirname(__file__), "running"), "w").close()
        while True:
            time.sleep(1)
"""

SLEEPS = """
    import time
    from nectar import handler

    @handler
    def h(comp):
        time.sleep(float(comp.query))
        return 1
"""


@pytest.fixture
def launched(world: World) -> World:
    """A world in which ``h`` runs and answers for alice."""
    world.file("h.py")
    world.node("alice")
    world.run("launch", "h.py", "--attach", "alice")
    return world


def left(world: World) -> dict[int, str]:
    """The processes of daemons, not those that only look."""
    return processes(world.home.data_dir)


def test_stop_and_start(launched: World) -> None:
    assert launched.run("stop", "h").stdout == "✅ Handler stopped: h\n"
    assert not left(launched)
    record = launched.registry()["h"]
    assert (record["status"], record["desired"], record["pid"]) == ("stopped", "stopped", None)
    assert record["attached_aliases"] == ["alice"]
    assert not launched.home.socket("h").exists()
    pending = launched.put("waiting", "four")
    shown = launched.run("start", "h").stdout.splitlines()
    assert shown[0] == f"✅ Handler started: h (PID {launched.registry()['h']['pid']})"
    assert "   Watching: alice" in shown
    assert launched.answer("waiting")["result"] == {"value": 8}
    assert not pending.exists()


@pytest.mark.anywhere
def test_a_start_runs_what_was_launched(world: World) -> None:
    world.file("h.py")
    world.node()
    world.run("launch", "h.py", "--attach", "alice", "--env", "A=1", "--workers", "2")
    before = world.registry()["h"]
    world.run("stop", "h")
    world.file("h.py", TWICE.replace("* 2", "* 3"))
    world.run("start", "h")
    assert world.run("submit", "alice", "four").stdout == "8\n"
    after = world.registry()["h"]
    kept = ("environment", "entry", "handler_name", "settings", "source", "created", "handler")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.anywhere
def test_what_does_not_run_cannot_be_stopped_and_what_runs_not_started(launched: World) -> None:
    assert "'h' is running" in launched.run("start", "h", code=4).stderr
    launched.run("stop", "h")
    assert "'h' is not running" in launched.run("stop", "h", code=4).stderr
    assert launched.run("stop", "absent", code=3).stderr.startswith("❌ There is no handler 'absent'.")
    assert launched.run("start", "absent", code=3).stderr.startswith("❌ There is no handler 'absent'.")


@pytest.mark.anywhere
def test_all(launched: World) -> None:
    launched.run("launch", "h.py", "other")
    assert launched.run("stop", "--all").stdout == "✅ Handler stopped: h\n✅ Handler stopped: other\n2 stopped\n"
    assert launched.run("stop", "--all").stdout == ""
    assert not left(launched)
    shown = launched.run("start", "--all").stdout
    assert re.fullmatch(
        r"✅ Handler started: h \(PID \d+\), watching alice\n✅ Handler started: other \(PID \d+\)\n2 started\n", shown
    )
    assert launched.run("start", "--all").stdout == ""


@pytest.mark.anywhere
def test_several_of_which_one_fails(launched: World) -> None:
    launched.run("launch", "h.py", "other")
    launched.run("stop", "h")
    ended = launched.run("stop", "h", "other", code=4)
    assert ended.stdout == "✅ Handler stopped: other\n1 stopped, 1 failed: h\n"
    assert "'h' is not running" in ended.stderr
    launched.run("start", "h", "other")
    launched.run("stop", "absent", "h", code=3)
    assert launched.registry()["h"]["status"] == "running"
    launched.file("h.py", TWICE.replace("from", "import nothing_like_it\n    from"))
    pid = launched.registry()["other"]["pid"]
    launched.run("stop", "h")
    ended = launched.run("restart", "h", "other", code=1)
    assert ended.stdout == "0 restarted, 2 failed: h, other\n"
    first, second = (line for line in ended.stderr.splitlines() if line.startswith("❌"))
    assert first.startswith("❌ h: The handler could not be loaded: ") and first.endswith(". It does not run.")
    assert second.startswith("❌ other: ") and second.endswith(f". The one that ran before goes on (PID {pid}).")


@pytest.mark.anywhere
def test_what_two_operators_want_of_all_is_reached_for_both(launched: World) -> None:
    """Who comes second waits for the first, and finds nothing left to do: that is no failure."""
    launched.run("launch", "h.py", "other")
    with open(launched.home.turn("h"), "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # both have seen that it runs before either has stopped it
        operators = [launched.begin("stop", "--all") for _ in range(2)]
        said = [operator.stderr.readline() for operator in operators if operator.stderr is not None]
    assert ["Another command" in line for line in said] == [True, True]
    ended = sorted(operator.communicate(timeout=PATIENCE)[0].splitlines()[-1] for operator in operators)
    assert [operator.returncode for operator in operators] == [0, 0]
    counts = [(*map(int, re.findall(r"\d+", line)), 0)[:2] for line in ended]
    assert (sum(done for done, _ in counts), sum(left for _, left in counts)) == (2, 2)
    assert "'h' is not running" in launched.run("stop", "h", code=4).stderr, "by name it is one"


def test_a_killed_daemon_leaves_no_worker_and_is_started_again(launched: World) -> None:
    os.kill(launched.registry()["h"]["pid"], signal.SIGKILL)
    until(lambda: not left(launched), "its worker ends with it")
    launched.run("start", "h")
    assert launched.run("submit", "alice", "four").stdout == "8\n"


def test_stopping_what_was_killed_says_that_it_shall_not_run(launched: World) -> None:
    os.kill(launched.registry()["h"]["pid"], signal.SIGKILL)
    until(lambda: not left(launched), "it ends")
    launched.run("stop", "h")
    assert launched.registry()["h"]["desired"] == "stopped"
    launched.run("stop", "h", code=4)


def test_a_frozen_daemon_is_stopped_in_time(launched: World) -> None:
    os.kill(launched.registry()["h"]["pid"], signal.SIGSTOP)
    begun = time.monotonic()
    launched.run("stop", "h", "--timeout", "1")
    assert time.monotonic() - begun < 30
    assert not left(launched)


def test_one_without_its_socket_is_stopped_by_a_signal(launched: World) -> None:
    launched.home.socket("h").unlink()
    launched.run("stop", "h")
    assert not left(launched)


@needs.proc
def test_nothing_of_a_stubborn_handler_is_left(world: World) -> None:
    world.file("h.py", STUBBORN)
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    world.put("q")
    until((world.directory / "running").exists, "the handler runs")
    world.run("stop", "h", "--timeout", "0.5")
    assert not left(world)
    assert not world.home.computations("alice").joinpath("q.complete").exists()


@needs.proc
def test_nor_after_the_daemon_was_killed(world: World) -> None:
    world.file("h.py", STUBBORN)
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    world.put("q")
    until((world.directory / "running").exists, "the handler runs")
    os.kill(world.registry()["h"]["pid"], signal.SIGKILL)
    until(lambda: "dead     h" in world.run("view").stdout, "the end is seen")
    world.run("stop", "h")
    assert not left(world)


def test_what_runs_may_finish(world: World) -> None:
    world.file(
        "h.py",
        "import pathlib, time\nfrom nectar import handler\n@handler\ndef h(comp):\n    pathlib.Path(__file__).with_name('running').touch()\n    time.sleep(1)\n    return 7\n",
    )
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    world.put("q")
    until((world.directory / "running").exists, "the handler runs")
    world.run("stop", "h")
    assert world.answer("q")["result"] == {"value": 7}


def test_a_pid_in_the_registry_proves_nothing(launched: World) -> None:
    launched.run("stop", "h")
    text = launched.home.registry.read_text()
    changed = text.replace('"status": "stopped"', '"status": "running"').replace('"pid": null', f'"pid": {os.getpid()}')
    assert changed != text
    launched.home.registry.write_text(changed)
    launched.home.lock("h").write_text(f'{{"pid": {os.getpid()}, "started": 1.0, "version": "0"}}')
    assert "⚫ stopped  h" in launched.run("view").stdout
    launched.run("stop", "h", code=4)  # and this process lives on


def test_a_quicker_stop_hastens_a_slower_one(world: World) -> None:
    world.node()
    world.file("h.py", SLEEPS)
    world.run("launch", "h.py", "h", "--attach", "alice")
    world.put("long", "60")
    until(lambda: not (world.home.computations("alice") / "long.pending").exists(), "it runs")
    slow = world.fork("stop", "h", "--timeout", "50")
    until(lambda: '"stopped"' in world.home.registry.read_text(), "it has the turn")
    begun = time.monotonic()
    world.run("stop", "h", "--timeout", "0", code=None)
    assert time.monotonic() - begun < 40
    assert slow.wait(60) == 0


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e9"])
def test_no_number_of_seconds(world: World, seconds: str) -> None:
    assert "--timeout" in world.run("stop", "h", "--timeout", seconds, code=2).stderr


@pytest.mark.anywhere
def test_a_file_that_looks_like_a_start_is_none(world: World) -> None:
    world.file("h.py")
    world.run("launch", "h.py", "h")
    with (world.home.handlers / "a b.start").open("w") as stray:
        fcntl.flock(stray, fcntl.LOCK_EX)
        assert "stopped: h" in world.run("stop", "--all").stdout


@pytest.mark.anywhere
def test_a_stop_where_the_disk_is_read_only_is_a_stop(world: World) -> None:
    need_root()
    world.file("h.py")
    world.run("launch", "h.py", "h")
    world.run("stop", "h")
    world.run("start", "h")
    pid, place = world.registry()["h"]["pid"], world.home.nectar
    mount(place, "--bind", kind="", source=str(place))
    try:
        mount(place, "-o", "remount,bind,ro", kind="", source=str(place))
        ended = world.run("stop", "h", code=1)
    finally:
        unmount(place)
    assert "was stopped, and that could not be written down" in ended.stderr
    assert gone(pid)
