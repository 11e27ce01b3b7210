"""How a handler is, as ``view``, ``view --check`` and ``doctor`` tell it: one that is alive and does nothing is never green."""

from __future__ import annotations

import os
import re
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.history import ROW
from tests.terminal import Terminal
from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

FICKLE = """
    from nectar import handler

    @handler
    def fickle(comp):
        return {"one": 1}[comp.query]
"""


@pytest.fixture
def launched(world: World) -> World:
    """A world in which ``h`` runs and answers for alice."""
    world.node("alice")
    world.run("launch", world.file("h.py", FICKLE), "--attach", "alice")
    return world


@pytest.mark.waits
def test_a_handler_from_well_to_dead_and_back(launched: World) -> None:
    launched.node("bob")
    launched.run("launch", "h.py", "other", "--attach", "bob")
    launched.run("submit", "alice", "one")
    well = launched.run("view", "h").stdout
    assert (
        "Latency:" in well
        and "Last hour:" in well
        and f"{'·' * 29}█ 1 answers, at most 1 a minute" in well
        and "Build log:" in well
    )
    assert launched.run("view", "--check").stdout == ""
    assert launched.json("view", "h")["health"] == {"state": "running", "what": None, "since": None, "cure": None}

    launched.run("submit", "bob", "two", code=1)  # it is none of h's
    shutil.rmtree(launched.home.data_dir / "bob")
    until(lambda: launched.run("view", "--check", code=None).returncode == 7, "it is noticed")
    assert launched.run("view", "--check", code=7).stdout.startswith("other: running: it cannot answer for bob: ")
    (pid,) = (handler["pid"] for handler in launched.json("view")["handlers"] if handler["name"] == "h")

    os.kill(pid, signal.SIGSTOP)
    assert "  🔴 unresponsive  h (PID" in launched.run("view").stdout
    ended = launched.run("view", "h", "--check", code=7)
    assert ended.stdout == "h: unresponsive: The daemon does not answer (timed out); nectar restart h\n"
    detail = launched.run("view", "h").stdout
    assert f"🔴 unresponsive (PID {pid}), started 20" in detail and "(timed out); nectar restart h\n" in detail
    assert "❌ h: The daemon does not answer (timed out)\n   nectar restart h\n" in launched.run("doctor", code=1).stdout
    os.kill(pid, signal.SIGCONT)

    os.kill(pid, signal.SIGKILL)
    until(lambda: launched.json("view", "h")["health"]["state"] == "dead", "it is dead")
    launched.put("waits", "one")
    assert launched.run("view", "h", "--check", code=7).stdout == "h: dead: it should run, and does not; nectar start h\n"
    assert "🔴 dead, and should run: nectar start h" in launched.run("view", "h").stdout
    assert launched.json("view", "h")["waiting"] == 1
    launched.run("start", "h")
    assert launched.answer("waits")["result"] == {"value": 1}
    again = launched.run("view", "h").stdout
    assert "Deaths:       1 without a stop, the last after 20" in again
    assert "the daemon before this one ended without a stop" in launched.run("logs", "h", "--no-follow").stdout
    assert "█ " in again, "what the one before it has answered is not forgotten"

    for number in range(ROW):
        launched.put(f"bad{number}", "two")
    until(lambda: launched.json("view", "h")["health"]["state"] == "failing", "nothing but errors came of them")
    told = f"the last {ROW} answers were errors or timeouts: KeyError: 'two'; since 20"
    assert told in launched.run("view", "h", "--check", code=7).stdout
    shown = launched.run("view").stdout
    assert "  🔴 failing  h (PID" in shown and f"           Failing: {told}" in shown and shown.count("; nectar logs h\n") == 1
    assert told.split(";", maxsplit=1)[0] in launched.run("doctor", code=None).stdout
    brief = launched.run("view", "--brief").stdout.splitlines()
    assert brief[0].split() == ["NAME", "STATE", "UP", "ANSWERED", "ERRORS", "WAITING", "BUSY", "MEMORY", "ALIASES"]
    assert re.fullmatch(r"h +failing +\d+ s +21 +20 +0 +- .* alice", brief[1])
    launched.run("submit", "alice", "one")
    assert launched.json("view", "h")["health"]["state"] == "running"


def test_it_is_shown_again_and_again_and_the_terminal_is_as_it_was(launched: World) -> None:
    assert "--watch needs a terminal" in launched.run("view", "--watch", code=2).stderr
    terminal = Terminal(launched.command("view", "--watch", "--brief"), str(launched.directory))
    try:
        before = terminal.settings()
        terminal.resize(2, 20)
        assert terminal.wait_for("\x1b[?1049h") == ""
        terminal.wait_for("running")
        launched.run("stop", "h")
        terminal.wait_for("stopped")
        launched.run("launch", "h.py", "second")
        terminal.resize(40, 100)
        terminal.wait_for("second")
        terminal.type("\x03")
        assert terminal.process.wait(PATIENCE) == 130
        terminal.wait_for("\x1b[?7h\x1b[?25h\x1b[?1049l")
        assert terminal.settings() == before
    finally:
        terminal.close()


def test_the_table_and_the_detail_are_shown_again_and_again_too(launched: World) -> None:
    """They have what is not in ASCII."""
    for options, shown in (["view", "--watch"], "running  h (PID"), (["view", "h", "--watch"], "(nothing since launch)"):
        terminal = Terminal(launched.command(*options), str(launched.directory))
        try:
            terminal.resize(40, 100)
            terminal.wait_for(shown)
            terminal.type("\x03")
            assert terminal.process.wait(PATIENCE) == 130
        finally:
            terminal.close()


def test_one_that_a_command_starts_is_told_of_as_such(launched: World) -> None:
    wait = launched.directory / "wait"
    waiting = f"""
    import os, time
    while os.path.exists({str(wait)!r}):
        time.sleep(0.05)
    """
    launched.file("h.py", FICKLE + waiting)
    launched.run("restart", "h")
    os.kill(launched.registry()["h"]["pid"], signal.SIGKILL)
    until(
        lambda: "❌ h: it should run, and does not\n   nectar start h\n" in launched.run("doctor", code=None).stdout, "it is dead"
    )
    wait.touch()
    starting = launched.begin("up")
    until(lambda: launched.json("view", "h")["health"]["state"] == "starting", "it is being started")
    assert "🟡 starting" in launched.run("view", "h").stdout
    assert "✅ h is starting\n" in launched.run("doctor").stdout
    wait.unlink()
    assert starting.wait(PATIENCE) == 0


def test_what_does_not_go_together(world: World) -> None:
    for options in (["--brief", "--json"], ["--check", "--json"], ["--watch", "--check"], ["--watch", "--json"], ["h", "--brief"]):
        world.run("view", *options, code=2)
    world.run("view", "nobody", "--check", code=3)
