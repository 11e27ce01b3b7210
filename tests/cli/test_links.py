"""A link in an alias's path that belongs to a stranger: no verb goes through it, and each says whose it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.world import until

if TYPE_CHECKING:
    from tests.world import World

NODE = 12345

pytestmark = [pytest.mark.uv, pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to another user")]


def test_a_strange_link(world: World) -> None:
    world.file("h.py")
    computation = world.node("alice")
    world.node("bob")
    data = computation.parent
    treasure = world.directory / "treasure"

    def lead_astray() -> None:
        data.rename(treasure)
        data.symlink_to(treasure)
        os.lchown(data, NODE, NODE)

    def mend() -> None:
        data.unlink()
        treasure.rename(data)

    def refused(said: str) -> bool:
        return f"link of user {NODE}, {data}, to a directory of user 0" in said

    lead_astray()
    assert refused(world.run("launch", "h.py", "--attach", "alice", code=4).stderr)
    world.run("launch", "h.py", "--attach", "bob")
    assert refused(world.run("attach", "h", "alice", code=4).stderr)
    assert world.registry()["h"]["attached_aliases"] == ["bob"]
    assert refused(world.run("submit", "alice", "abc", code=4).stderr)
    assert refused(world.run("submit", "alice", "abc", "--no-wait", code=4).stderr)
    assert os.listdir(treasure / "computation") == []
    mend()
    world.run("attach", "h", "alice")
    assert world.run("submit", "alice", "abc").stdout == "6\n"
    lead_astray()
    until(lambda: refused(world.run("view", "h").stdout), "the daemon has seen it")
    world.put("a1")
    assert refused(world.run("doctor", code=None).stdout)
    assert refused(world.run("logs", "h", "--no-follow").stdout)
    assert world.run("submit", "bob", "abcd").stdout == "8\n"
    assert (treasure / "computation" / "a1.pending").exists()
    world.run("restart", "h")
    assert refused(world.run("view", "h").stdout)
    assert (treasure / "computation" / "a1.pending").exists()
    mend()
    assert world.answer("a1")["result"] == {"value": 6}
