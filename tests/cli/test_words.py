"""Commands for one handler at the same time: the later word counts, and a command that is killed leaves nothing that misleads."""

from __future__ import annotations

import signal
import textwrap
from typing import TYPE_CHECKING

import pytest

from nectar.locks import hold
from nectar.manage.handlers import registry
from tests.words import GATED, LONG, Said, Words
from tests.world import until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]


@pytest.fixture
def words(world: World) -> Words:
    return Words(world)


def said_by(process: Said, code: int) -> str:
    """What a command says on standard error, once it has ended with this code."""
    said = process.answer()
    assert process.returncode == code, said
    return said


def test_the_later_word_counts(words: Words) -> None:
    """Some of each; tests/soak has them all."""
    for starter, phase, word in (
        ("restart", "loading", "stop"),
        ("launch", "loading", "stop"),
        ("start", "loaded", "remove"),
    ):
        words.meet(starter, phase, word)


def test_it_gives_up_while_it_loads(words: Words) -> None:
    """And not only when it has loaded, which may take long."""
    with words.at("loading", "restart") as restart:
        words.world.run("stop", "h")
        assert "was stopped meanwhile" in said_by(restart, 4)
        until(lambda: not words.daemons(), "what was loading has ended")
    with words.at("loading", "start") as start:
        assert words.world.run("stop", "--all").stdout == "✅ Handler stopped: h\n"
        assert "was stopped meanwhile" in said_by(start, 4)


def test_what_is_being_launched_is_not_removed_without_a_word(words: Words) -> None:
    words.prepare("launch")
    with words.at("loading", "launch") as launch:
        assert "is being started" in words.world.run("remove", "h", code=4).stderr
    assert launch.wait(LONG) == 0
    assert "is running" in words.world.run("remove", "h", code=4).stderr


@pytest.mark.parametrize("what", ["stopped", "removed", "launched anew"])
def test_a_word_of_a_version_that_takes_no_turn_counts_too(words: Words, what: str) -> None:
    before = words.pid()
    with words.at("loading", "restart") as restart, registry.change(words.home) as records:
        if what == "removed":
            del records["h"]
        else:
            records["h"] = records["h"].but(desired="stopped") if what == "stopped" else records["h"].but(created=1.0)
    assert f"was {what} meanwhile" in said_by(restart, 4)
    assert words.pid() == before
    assert (words.record() is None) == (what == "removed")
    with registry.change(words.home) as records:
        records["h"] = registry.Record(desired="running")


def test_of_two_restarts_the_later_one_has_the_last_word(words: Words) -> None:
    with words.at("loading", "restart") as first:
        words.world.file("h.py", textwrap.dedent(GATED).replace("* 2", "* 3"))
        second = words.world.begin("restart", "h")
        assert second.stderr is not None
        assert f"Another command (PID {first.pid}) is starting 'h'" in second.stderr.readline()
    assert [first.wait(LONG), second.wait(LONG)] == [0, 0]
    assert words.world.run("submit", "alice", "four").stdout == "12\n"


def test_a_launch_does_not_attach_what_was_detached_meanwhile(words: Words) -> None:
    words.world.run("stop", "h")
    with words.at("loading", "launch") as launch:
        words.world.run("detach", "h", "alice")
    assert launch.wait(LONG) == 0
    words.require(running=True, desired="running", aliases=())


def test_whom_a_stop_waits_for_is_told(words: Words) -> None:
    with hold(words.home.turn("h")):
        stop = words.world.begin("stop", "h")
        assert stop.stderr is not None
        assert "Another command is stopping or starting 'h' at this moment" in stop.stderr.readline()
        stop.send_signal(signal.SIGINT)
        assert stop.wait(LONG) == 130
    words.require(running=True, desired="running", aliases=("alice",))


def test_a_restart_that_was_killed_in_between_is_told(words: Words) -> None:
    """The old daemon has ended, and the new one has not begun: it is down, every command says so or mends it."""
    for verb in ("start", "restart", "remove"):
        with words.at("taken", "restart") as restart:
            restart.kill()
            restart.wait(LONG)
        until(lambda: not words.daemons(), "the one in standby ends by itself")
        world = words.world
        assert "  🔴 dead     h\n" in world.run("view").stdout
        assert "           Should run: nectar start h\n" in world.run("view").stdout
        assert "dead, and should run: nectar start h" in world.run("view", "h").stdout
        refused = world.run("attach", "h", "bob", code=4).stderr
        assert "'h' should run, and does not" in refused
        assert "nectar start h" in refused
        world.run(verb, "h")
        if verb == "remove":
            words.require(running=False, desired=None, aliases=())
        else:
            words.require(running=True, desired="running", aliases=("alice",))
