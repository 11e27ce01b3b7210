"""``hive.toml``: what is written of what runs brings it up elsewhere, and changes nothing here."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from nectar import namelock
from tests.world import until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

SAYS = """
    import os
    from nectar import handler

    @handler
    def says(comp):
        return int(os.environ["NUMBER"]) + len(os.environ.get("SECRET", ""))
"""


def test_there_and_back(world: World) -> None:
    world.node("alice")
    world.node("bob")
    world.file("h.py", SAYS)
    world.file("number.env", "NUMBER=3\n")
    given = ("--env", "SECRET=x", "--env-file", "number.env", "--workers", "2")
    world.run("launch", "h.py", "h", "--attach", "alice", *given)
    world.run("launch", "h.py", "other", "--env-file", "number.env")
    world.run("stop", "other")
    written = world.run("export").stdout
    assert "SECRET" in written and "SECRET=" not in written
    file = world.file("hive.toml", written)
    h = {"source": str(world.directory / "h.py"), "aliases": ["alice"], "env_files": [str(world.directory / "number.env")]}
    assert tomllib.loads(written) == {"handlers": {"h": {**h, "settings": {"workers": 2}}}}
    before = world.registry()
    for words in (["--dry-run"], []):
        assert world.run("up", "-f", file, *words).stderr == "All is as the file says.\n"
    assert world.registry() == before

    text = written.replace("workers = 2", "workers = 1").replace('"alice"', '"alice", "bob"')
    world.file("hive.toml", f"{text}\n[handlers.other]\nsource = 'h.py'\nenv_files = ['number.env']\n")
    world.run("launch", "h.py", "unnamed", "--env-file", "number.env")
    world.run("detach", "h", "alice")
    would = "h: would be replaced: workers: 2 → 1; aliases: alice, bob\nother: would be started\n"
    dry = world.run("up", "-f", file, "--dry-run")
    assert (dry.stdout, dry.stderr) == (would, "Not in hive.toml, and left as it is: the handler 'unnamed'.\n")
    assert world.run("up", "-f", file).stdout.endswith("\n2 brought up\n")
    assert world.run("submit", "bob", "q").stdout == "4\n", "its variables are kept"
    assert world.registry()["unnamed"]["status"] == "running"

    (world.directory / "copy.py").write_bytes((world.directory / "h.py").read_bytes())
    world.file("hive.toml", text.replace("h.py", "copy.py"))
    moved = f"h: would be replaced: source: {world.directory / 'h.py'} → {world.directory / 'copy.py'}\n"
    assert world.run("up", "-f", file, "--dry-run").stdout == moved
    world.file("hive.toml", text)
    world.run("detach", "h", "bob")
    before = world.registry()
    assert world.run("up", "-f", file, "--dry-run").stdout == "h: would be attached: aliases: bob\n"
    world.run("up", "-f", file)
    assert world.registry()["h"] == {**before["h"], "attached_aliases": ["alice", "bob"]}
    world.file("hive.toml", f"{text}\n[handlers.broken]\nsource = 'h.py'\naliases = ['nobody']\n")
    ended = world.run("up", "-f", file, code=3)
    assert "❌ broken: There is no node 'nobody'." in ended.stderr


def test_a_container_has_it_brought_up_and_kept(world: World) -> None:
    """Also what cannot be started at first, because its node is not there yet."""
    world.file("h.py")
    file = world.file("hive.toml", "[handlers.h]\nsource = 'h.py'\naliases = ['alice']\n")
    with (world.directory / "told").open("w") as told:
        keeper = world.begin("up", "-f", file, "--keep", stdout=told, stderr=told)
    until(lambda: "It is tried again in" in (world.directory / "told").read_text(), "it cannot be started")
    world.node("alice")
    until(lambda: "✅ Handler launched: h" in (world.directory / "told").read_text(), "then it is")
    world.run("stop", "h")
    keeper.terminate()
    assert keeper.wait(60) == 0
    assert world.registry()["h"]["desired"] == "stopped"
    assert not namelock.is_running(world.home, "h")
