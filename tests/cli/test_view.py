"""``nectar view``: the table that scripts read."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests import pythons

if TYPE_CHECKING:
    from tests.world import World

BANNER = """\
╔═══════════════════════════════════════════════════════════════╗
║                     Nectar Handlers                           ║
╚═══════════════════════════════════════════════════════════════╝
"""


def test_nothing_yet(world: World) -> None:
    ended = world.run("view")
    assert ended.stdout == f"{BANNER}\nTotal: 0 handler(s), 0 running\n"
    assert "nectar launch" in ended.stderr
    assert world.json("view") == {"schema": 1, "handlers": []}


def test_looking_makes_nothing(fresh: World) -> None:
    home = fresh.directory / "me"
    home.mkdir()
    for verb in ("view", "doctor", "gc"):
        fresh.run_by_default(verb, env={"HOME": str(home), "PATH": pythons.path_with_few()})
    assert list(home.iterdir()) == []


@pytest.mark.uv
def test_one_that_runs_and_one_that_is_stopped(world: World) -> None:
    one, two = world.file("my_handler.py"), world.file("simple.py")
    world.node("alice")
    world.node("bob")
    world.run("launch", two, "query_length")
    world.run("stop", "query_length")
    world.run("launch", one, "sentiment_v1", "--attach", "alice", "--attach", "bob")
    shown = world.run("view").stdout
    record = world.registry()["sentiment_v1"]
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["started"]))
    assert shown == (
        f"{BANNER}\n"
        "  ⚫ stopped  query_length\n"
        f"           Handler: {two}\n"
        "           Watching: (none)\n"
        "\n"
        f"  🟢 running  sentiment_v1 (PID {record['pid']})\n"
        f"           Handler: {one}\n"
        "           Watching: alice, bob\n"
        f"           Started: {started}\n"
        "\n"
        "Total: 2 handler(s), 1 running\n"
    )
    assert [handler["name"] for handler in world.json("view")["handlers"]] == ["query_length", "sentiment_v1"]


def test_what_another_program_wrote_is_shown_and_kept(world: World) -> None:
    text = json.dumps(
        {
            "old": {"status": "running", "pid": 1, "attached_aliases": ["alice"], "handler_path": "/x.py"},
            "odd": {"attached_aliases": "alice", "status": 7, "pid": "x", "settings": None},
            "no record": {"status": "running"},
            "none": None,
        },
    )
    world.home.registry.write_text(text)
    shown = world.run("view").stdout
    assert "  🔴 dead     old\n" in shown
    assert "           Watching: alice\n" in shown
    assert "  ⚫ stopped  odd\n" in shown
    assert re.search(r"Total: 2 handler\(s\), 0 running\n", shown)
    kept = world.registry()
    assert kept["old"]["handler_path"] == "/x.py"
    assert kept["old"]["status"] == "stopped"
    assert kept["no record"] == {"status": "running"}
    assert kept["none"] is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1', "\x00", '"x"', "NaN"])
def test_a_broken_registry(world: World, text: str) -> None:
    world.home.registry.write_text(text)
    ended = world.run("view", code=1)
    assert "broken" in ended.stderr
    assert str(world.home.registry) in ended.stderr
    assert len(ended.stderr.splitlines()) == 3
    assert world.home.registry.read_text() == text
    assert world.json("view", code=1)["error"]["kind"] == "failed"


@pytest.mark.uv
@pytest.mark.once
def test_what_somebody_has_damaged_is_shown_as_far_as_it_can_be_read_and_how_it_is_mended(world: World) -> None:
    world.node()
    world.run("launch", world.file("one.py"), "--attach", "alice")
    for name in ("two", "three"):
        world.run("launch", "one.py", name)
        world.run("stop", name)
    whole = world.home.registry.read_text()
    damaged = whole.replace('  "two": {\n', '  "two": {,\n')
    line = damaged[: damaged.index("{,")].count("\n") + 1
    world.home.registry.write_text(damaged)
    ended = world.run("view", code=1)
    assert "  🟢 running  one (PID" in ended.stdout and "  ⚫ stopped  three\n" in ended.stdout and "two" not in ended.stdout
    assert f"line {line} column" in ended.stderr
    cure = ended.stderr.splitlines()[-1].partition("last change: ")[2]
    assert cure == f"cp {world.home.registry_before} {world.home.registry}"
    assert cure in world.run("doctor", code=1).stdout and "one is running" in world.run("doctor", code=1).stdout
    assert cure in world.run("stop", "one", code=1).stderr
    assert world.home.registry.read_text() == damaged, "it is left as it is"
    world.put("q")
    assert world.answer("q")["status"] == "success"

    subprocess.run(cure.split(), check=True)
    assert [handler["name"] for handler in world.json("view")["handlers"]] == ["one", "two", "three"]
    world.run("stop", "one")
    world.home.registry.unlink()
    assert cure in world.run("doctor", code=1).stdout
    for words in ("view", "view --check", "view one", "up", "launch one.py four"):
        assert cure in world.run(*words.split(), code=1).stderr, "none takes it for a data dir without handlers"
    subprocess.run(cure.split(), check=True)
    assert "one" in world.run("view").stdout
