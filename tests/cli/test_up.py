"""``nectar up``: what should run does again, and what was stopped stays stopped."""

from __future__ import annotations

import os
import re
import signal
import textwrap
from typing import TYPE_CHECKING

import pytest

from nectar import locks, namelock
from nectar.manage import launch
from nectar.manage.handlers import registry
from tests.world import PATIENCE, TWICE, processes, until

if TYPE_CHECKING:
    import subprocess

    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

BROKEN = TWICE.replace("from", "import nothing_like_it\n    from")


def kill(world: World, *names: str) -> None:
    """End the daemons of handlers as an accident does."""
    pids = [world.registry()[name]["pid"] for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(namelock.is_running(world.home, name) for name in names), "they have ended")


def test_what_was_killed_comes_back_and_what_was_stopped_does_not(world: World) -> None:
    world.node("alice")
    world.run("launch", world.file("h.py"), "--attach", "alice")
    world.run("launch", "h.py", "stopped")
    world.run("launch", "h.py", "well")
    world.run("launch", world.file("g.py"), "broken")
    world.run("stop", "stopped")
    kill(world, "h", "broken")
    world.file("g.py", BROKEN)
    (world.home.envs / world.registry()["broken"]["environment"]).rename(world.directory / "gone")
    world.put("waits", "four")
    world.put("waits", "four")
    assert world.run("up", "--dry-run").stdout == "h: would be started\nbroken: would be started\n"
    assert not namelock.is_running(world.home, "h")

    ended = world.run("up", code=1)
    assert world.answer("waits")["result"] == {"value": 8}
    assert re.search(r"^✅ Handler started: h \(PID \d+\), watching alice$", ended.stdout, re.MULTILINE)
    assert not namelock.is_running(world.home, "stopped")
    assert world.registry()["stopped"]["desired"] == "stopped"
    assert ended.stdout.splitlines()[-1] == "1 started, 1 failed: broken"
    assert re.search(r"^broken: The environment of 'broken'.*It is built again", ended.stderr, re.MULTILINE)
    assert re.search(r"^❌ broken: The handler could not be loaded: .* It does not run\.$", ended.stderr, re.MULTILINE)
    world.run("stop", "broken")
    again = world.run("up")
    assert (again.stdout, again.stderr) == ("", "All handlers that should run do.\n")


def test_who_interrupts_it_has_all_taken_back_and_a_later_stop_counts(world: World) -> None:
    """The processes that start them, and what these have begun, end with it, also where it alone is told to end."""
    slow = "import os, pathlib, time\npathlib.Path(f'loading-{os.getpid()}').touch()\ntime.sleep(600 if os.path.exists('slow') else 0)\n"
    world.file("h.py", slow + textwrap.dedent(TWICE))
    for name in ("h", "other"):
        world.run("launch", "h.py", name)
    kill(world, "h", "other")
    world.file("slow", "")

    def begin(*words: str) -> subprocess.Popen[str]:
        before = len(list(world.directory.glob("loading-*")))
        process = world.begin("up", *words)
        until(lambda: len(list(world.directory.glob("loading-*"))) == before + 2, "both are loaded")
        return process

    process = begin()
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert not processes(world.home.handlers.parent), "neither a daemon nor a worker is left"
    assert {record["desired"] for record in world.registry().values()} == {"running"}

    process = begin("--keep")
    process.kill()
    process.wait()
    assert not locks.is_free(world.home.start("h")), "what it has begun goes on"
    assert locks.is_free(world.home.keeper), "and keeps nobody else from keeping them"
    world.run("stop", "h", "other")
    until(lambda: not processes(world.home.handlers.parent), "they give up")

    with registry.change(world.home) as records:
        for name, record in records.items():
            records[name] = record.but(desired="running")
    process = begin()
    world.run("stop", "h", "other")
    said, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, said) == (0, "0 started, 2 left to another command\n")
    assert errors.count("was stopped meanwhile, by another command") == 2
    assert launch.revive(world.home, "h", report=print) is None, "one that was stopped before it was its turn"


def test_launch_says_what_it_replaces_and_replaces_what_runs_only_when_told_to(world: World) -> None:
    world.node("alice")
    world.run("launch", world.file("h.py"), "--attach", "alice", "--workers", "2")
    pid = world.registry()["h"]["pid"]
    other = world.file("other.py", TWICE.replace("* 2", "* 3"))
    assert "--replace" in world.run("launch", other, "h", code=4).stderr
    world.file("broken.py", BROKEN)
    world.run("launch", "broken.py", "h", "--replace", code=1)
    assert world.registry()["h"]["pid"] == pid, "one that cannot be loaded leaves it as it was"
    replaced = world.run("launch", other, "h", "--replace")
    told = f"It replaces the handler 'h', which runs: {world.directory / 'h.py'}; its aliases stay: alice.\n"
    assert told in replaced.stderr
    assert world.registry()["h"]["settings"] == {}
    assert world.run("submit", "alice", "four").stdout == "12\n"
    world.run("stop", "h")
    assert "'h', which does not run: " in world.run("launch", "h.py").stderr


def test_in_the_foreground_it_lives_as_long_as_the_command(world: World) -> None:
    world.node("alice")
    world.file("h.py", "print('hello')\n" + textwrap.dedent(TWICE).replace("return", "print('asked')\n    return"))
    for code in (130, 0, 1):
        process = world.begin("launch", "h.py", "--attach", "alice", "--foreground")
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert next(lines).startswith("✅ Handler launched: h (PID")
        assert any(line.endswith(" PRINT   - -: hello\n") for line in lines), "also what it printed before it served"
        world.run("submit", "alice", "four")
        assert any("asked" in line for line in lines)
        if code == 130:
            process.send_signal(signal.SIGINT)
        elif code == 0:
            world.run("stop", "h")
        else:
            kill(world, "h")
        said, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, errors
        assert said.endswith(" stopped\n") == (code == 0)
        assert ("❌ The handler 'h' ended without a stop." in errors) == (code == 1)
        assert not namelock.is_running(world.home, "h")
        assert world.registry()["h"]["desired"] == "stopped"
    assert "either --foreground or --json" in world.run("launch", "h.py", "--foreground", "--json", code=2).stdout
