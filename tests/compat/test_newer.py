"""What a newer nectar wrote gets one sentence: it is told whose it is and what to do, it is left as it is, and the rest goes on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.compat.before import HANDLERS

if TYPE_CHECKING:
    from tests.compat.before import Left

pytestmark = pytest.mark.once

NEWER = "was written by a newer nectar than this one, and is left as it is."
CURE = "Update nectar, or use the version that wrote it"
RECORD = {
    "schema": 3,
    "state": {"is": "up"},
    "attached_aliases": ["carol"],
    "status": ["both"],
    "pid": "8 of them",
    "environment": {},
}
"""A record as none of ours is."""


@pytest.fixture
def twofold(left: Left) -> Left:
    """What 0.1.0 left, with one record of a newer nectar in it, and what it was writing beside that."""
    (left.home.handlers / "twofold.env.new").write_text("half of it")
    left.home.registry.write_text(json.dumps({**left.registry(), "twofold": RECORD}))
    return left


def mark_as_newer(left: Left, name: str) -> bytes:
    """Have the marker of a handler's environment be one of a newer schema."""
    place = left.home.envs / left.registry()[name]["environment"] / "nectar.json"
    content = json.dumps({"schema": 2, "contents": ["as", "nobody", "knows"]}).encode()
    place.write_bytes(content)
    return content


def test_a_record_is_not_changed(twofold: Left) -> None:
    before, files = twofold.home.registry.read_bytes(), sorted(twofold.home.handlers.glob("twofold.*"))
    for words in (
        ("start", "twofold"),
        ("restart", "twofold"),
        ("stop", "twofold"),
        ("remove", "twofold"),
        ("remove", "--stop", "twofold"),
        ("attach", "twofold", "nobody"),
        ("detach", "twofold", "carol"),
        ("exec", "twofold", "--", "true"),
        ("launch", "twofold", "--handler", "double"),
        ("gc",),
    ):
        told = twofold.run(*words, code=4).stderr
        assert f"The record of 'twofold' {NEWER}" in told, words
        assert CURE in told, words
        assert twofold.home.registry.read_bytes() == before, words
        assert sorted(twofold.home.handlers.glob("twofold.*")) == files, words


def test_a_record_is_shown(twofold: Left) -> None:
    before = twofold.registry()["twofold"]
    shown = {each["name"]: each for each in twofold.json("view")["handlers"]}
    assert shown.keys() == HANDLERS.keys()
    assert NEWER in shown["twofold"]["failing"]
    assert (shown["twofold"]["status"], shown["twofold"]["attached_aliases"]) == ("stopped", ["carol"])
    assert NEWER in twofold.run("view").stdout
    assert NEWER in twofold.run("view", "twofold").stdout
    assert NEWER in twofold.json("view", "twofold")["unknown"]
    assert f"The record of 'twofold' {NEWER}" in twofold.run("doctor", code=1).stdout
    assert twofold.registry()["twofold"] == before


def test_the_other_handlers_go_on(twofold: Left) -> None:
    twofold.go()
    assert "'twofold'" in twofold.run("start", "--all", code=4).stderr
    assert "carol" in twofold.run("attach", "greeter", "carol", code=4).stderr  # which it has
    twofold.run("attach", "greeter", "nobody")
    assert twofold.run("submit", "nobody", "four").stdout == "8\n"
    twofold.run("restart", "secretive")
    twofold.run("stop", "greeter", "secretive", "talker", "counter")
    twofold.run("remove", "talker")
    after = twofold.registry()
    assert after.pop("twofold") == RECORD
    assert {name: record["status"] for name, record in after.items()} == dict.fromkeys(
        HANDLERS.keys() - {"talker", "twofold"}, "stopped"
    )


def test_a_registry_is_left_alone(left: Left) -> None:
    content = json.dumps({"schema": 3, "handlers": left.registry()}).encode()
    left.home.registry.write_bytes(content)
    for words in (["view"], ["launch", "twofold", "--handler", "double"], ["start", "greeter"], ["stop", "--all"], ["gc"]):
        told = left.run(*words, code=4).stderr
        assert f"The registry of handlers {NEWER}" in told and CURE in told
    assert NEWER in left.run("doctor", code=1).stdout
    assert left.home.registry.read_bytes() == content


def test_an_environment_is_left_alone_and_another_one_built_beside_it_where_that_is_said(left: Left) -> None:
    content = mark_as_newer(left, "greeter")
    key = left.registry()["greeter"]["environment"]
    for words in (["start", "greeter"], ["exec", "greeter", "--", "true"]):
        told = left.run(*words, code=4).stderr
        assert f"The environment of 'greeter' {NEWER}" in told
        assert CURE in told and "nectar restart greeter" in told
    assert f"The environment of 'greeter' {NEWER}" in left.run("doctor", code=1).stdout
    shown = left.run("view", "greeter").stdout
    assert NEWER in shown and "gone" not in shown
    assert left.registry()["greeter"]["environment"] == key
    assert (left.home.envs / key / "nectar.json").read_bytes() == content
    left.run("start", "twofold")


@pytest.mark.uv
def test_a_restart_builds_another_environment_beside_a_newer_one(left: Left) -> None:
    left.run("restart", "greeter")
    left.run("stop", "greeter")
    content = mark_as_newer(left, "greeter")
    key = left.registry()["greeter"]["environment"]
    left.run("restart", "greeter")
    assert left.registry()["greeter"]["environment"] == f"{key}.2"
    assert (left.home.envs / key / "nectar.json").read_bytes() == content
    assert left.run("submit", "bob", "four").stdout == "8\n"


# --- over the socket


@pytest.fixture
def talking(left: Left) -> Left:
    """A handler whose daemon answers as a newer nectar's does."""
    replies: dict[str, Any] = {do: {"schema": 2, "says": "something"} for do in ("status", "sync", "stop", "dance")}
    left._replies = replies
    left.stand_in("counter")
    return left


def test_a_daemon_that_answers_in_a_newer_language_is_told_of(talking: Left) -> None:
    pid = talking.json("view")["handlers"][-1]["pid"]
    told = "The daemon was started by a newer nectar than this one"
    assert told in talking.run("view", "counter").stdout
    assert told in talking.run("doctor", code=1).stdout
    before = talking.registry()
    refused = talking.run("attach", "counter", "nobody", code=6).stderr
    assert told in refused and "Update nectar, or use the version that started it." in refused
    assert talking.registry() == before
    os.kill(pid, 0)


def test_a_daemon_that_answers_in_a_newer_language_can_be_stopped(talking: Left) -> None:
    talking.run("stop", "counter", "--timeout", "1")
    assert talking.registry()["counter"]["status"] == "stopped"
    talking.run("start", "counter")
