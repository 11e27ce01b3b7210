"""``nectar logs``."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.world import until

if TYPE_CHECKING:
    from tests.world import World


@pytest.fixture
def logged(world: World) -> World:
    """A world with a log of thirty lines."""
    world.home.logs.mkdir()
    world.home.log("h").write_text("".join(f"line {number}\n" for number in range(30)))
    return world


def test_the_last_twenty_lines(logged: World) -> None:
    assert logged.run("logs", "h", "--no-follow").stdout.splitlines() == [f"line {number}" for number in range(10, 30)]


@pytest.mark.parametrize("count", [0, 1, 30, 500])
def test_as_many_as_are_wanted(logged: World, count: int) -> None:
    shown = logged.run("logs", "h", "--no-follow", "-n", str(count)).stdout.splitlines()
    assert shown == [f"line {number}" for number in range(30)][30 - min(count, 30) :]


def test_follows_until_it_is_interrupted_also_over_a_rotation(logged: World) -> None:
    shown = logged.directory / "shown"
    with shown.open("w") as file:
        process = logged.begin("logs", "h", "-n", "1", stdout=file)
        until(lambda: shown.read_text() == "line 29\n", "the last line is shown")
        log = logged.home.log("h")
        with log.open("a") as writing:
            writing.write("half a ")
            writing.flush()
            os.rename(log, log.with_name("h.log.1"))
            writing.write("line\n")
        log.write_text("a new file\n")
        until(lambda: shown.read_text() == "line 29\nhalf a line\na new file\n", "what came later is shown")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == ""


def test_control_characters_are_shown_and_not_sent(logged: World) -> None:
    logged.home.log("h").write_bytes(b"a\x1b]0;title\x07b\rc\xff\n")
    assert logged.run("logs", "h", "--no-follow").stdout == "a\\x1b]0;title\\x07b\\rc\\xff\n"


def test_nobody_of_that_name(world: World) -> None:
    assert "'nobody'" in world.run("logs", "nobody", code=3).stderr


@pytest.mark.uv
def test_it_has_what_the_handler_does_and_prints_but_not_what_is_private(world: World) -> None:
    world.file(
        "h.py",
        "from nectar import handler\nprint('loading it')\n@handler\ndef h(comp):\n    print('so be it')\n    return 123456789\n",
    )
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    world.run("submit", "alice", "a secret question")
    until(lambda: "success" in world.home.log("h").read_text(), "it is logged")
    shown = world.run("logs", "h", "--no-follow").stdout
    assert "loading it" in shown
    assert "so be it" in shown
    assert "attached to alice" in shown
    assert "success" in shown
    assert "secret" not in shown
    assert "123456789" not in shown
