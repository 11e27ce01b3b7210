"""``nectar up --keep``: what should run comes back whenever it ends, and who keeps it ends all of it in order."""

from __future__ import annotations

import os
import re
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from nectar import namelock
from nectar.manage.supervision import EARLY, LONGEST_PAUSE, PAUSE, Pace
from tests.world import PATIENCE, TWICE, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.world import World

SLEEPS = """
    import time
    from nectar import handler

    @handler
    def h(comp):
        time.sleep(float(comp.query))
        return 1
"""


@contextmanager
def keeping(world: World, *more: str) -> Iterator[subprocess.Popen[str]]:
    """``up --keep``, whose words go to a file."""
    with (world.directory / "kept").open("a") as told:
        keeper = world.begin("up", "--keep", *more, stdout=told, stderr=told)
        try:
            yield keeper
        finally:
            if keeper.poll() is None:
                keeper.terminate()
                keeper.wait(PATIENCE)


def told(world: World) -> str:
    return (world.directory / "kept").read_text()


def kill(world: World, name: str) -> None:
    os.kill(world.registry()[name]["pid"], signal.SIGKILL)


@pytest.mark.uv
@pytest.mark.once
def test_what_ends_comes_back_what_is_stopped_does_not_and_all_end_in_order(world: World) -> None:
    world.node("alice")
    world.run("launch", world.file("h.py", SLEEPS), "--attach", "alice")
    world.run("launch", world.file("g.py"), "broken")
    for name in ("h", "broken"):
        kill(world, name)
    world.file("g.py", TWICE.replace("from", "import nothing_like_it\n    from"))
    (world.home.envs / world.registry()["broken"]["environment"]).rename(world.directory / "gone")
    with keeping(world) as keeper:
        until(lambda: "✅ Handler started: h (PID" in told(world), "it runs again, beside one that cannot")
        until(lambda: "It is tried again in 2 s" in told(world), "that is tried again and again")
        assert "❌ broken: The handler could not be loaded: " in told(world)
        assert f"(PID {keeper.pid})" in world.run("up", "--keep", code=4).stderr, "one is enough"
        world.run("stop", "broken")

        kill(world, "h")
        until(lambda: told(world).count("✅ Handler started: h (PID") == 2, "it comes back")
        assert re.search(r"⚠️  h ended without a stop; it is started again in (1|0\.5) s\.\n", told(world)), "as long as it had run"
        world.put("runs", "1")
        until(lambda: not (world.home.computations("alice") / "runs.pending").exists(), "it is taken")
        records = world.home.registry.read_bytes()
        world.home.registry.write_text("{")
        until(lambda: "The registry of handlers is broken" in told(world), "somebody damages it")
        keeper.terminate()
        assert keeper.wait(PATIENCE) == 0, told(world)
    world.home.registry.write_bytes(records)
    world.run("view")
    assert world.answer("runs")["result"] == {"value": 1}, "what runs may finish"
    last = told(world).rpartition("✅ Handler started: h (PID")[2]
    assert "broken: " not in last
    assert last.endswith("Ending 1 handler(s).\nAll have ended.\n")
    assert not any(namelock.is_running(world.home, name) for name in ("h", "broken"))
    states = {name: (record["desired"], record["status"]) for name, record in world.registry().items()}
    assert states == {"h": ("running", "stopped"), "broken": ("stopped", "stopped")}
    with keeping(world) as keeper:
        until(lambda: told(world).count("✅ Handler started: h (PID") == 3, "as after a reboot")
        assert world.run("logs", "h", "--no-follow").stdout.count("ended without a stop") == 2, "two were killed, and one was not"
        world.run("stop", "h")
        world.run("start", "h")
        world.home.keeper.unlink()
        assert keeper.wait(PATIENCE) == 4, "another could keep them by now"
    assert told(world).count("h ended without a stop") == 1, "a stop by hand is none"
    assert namelock.is_running(world.home, "h")


def test_the_pause_grows_only_where_it_ends_early() -> None:
    pace = Pace()
    assert pace.next == 0, "the first time, it is started at once"
    assert [pace.ended(100, EARLY) for _ in range(50)] == [PAUSE] * 50
    assert pace.next == 100 + PAUSE
    assert [pace.ended(0, EARLY - 1) for _ in range(3)] == [1, 2, 4]
    assert [pace.failed(0) for _ in range(4)] == [8, 16, 32, LONGEST_PAUSE]
    for _ in range(2000):
        assert pace.failed(0) == LONGEST_PAUSE
    assert (pace.ended(0, EARLY), pace.failed(0)) == (PAUSE, 1)
