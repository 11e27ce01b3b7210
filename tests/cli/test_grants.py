"""What a handler needs behind its wall, its operator grants, from the first launch to the next one."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from tests import needs

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once, needs.wall]

NEEDY = """
    # /// script
    # [tool.nectar]
    # needs = ["read=./corpus", "write=./out"]
    # ///
    import os
    from nectar import handler

    @handler
    def count(comp):
        with open("out/seen", "a") as seen:
            seen.write(comp.query)
        return len(os.listdir("corpus"))
"""
ALL = ("--allow", "read=./corpus", "--allow", "write=out")


def test_a_handler_gets_what_it_is_granted_and_keeps_it(world: World) -> None:
    world.node()
    handler = world.file("h.py", NEEDY)
    for name in ("corpus/word", "out/seen"):
        world.file(name, "x")
    built = set(world.home.envs.iterdir())
    begun = world.run("launch", handler, "--sandbox", "--allow", "read=corpus", code=4)
    assert begun.stderr.splitlines() == [
        "❌ The handler needs what it is not granted: write=./out.",
        f"   {handler}",
        "   If it may: --allow write=./out",
    ]
    assert not world.home.registry.exists() and set(world.home.envs.iterdir()) == built, "nothing is built for that"

    launched = world.run("launch", handler, "--sandbox", *ALL, "--attach", "alice").stdout
    told = f"read={world.directory}/corpus, write={world.directory}/out"
    assert f"   Sandbox: {told}\n" in launched
    assert world.run("submit", "alice", "one").stdout == "1\n"
    for verb in ("stop", "start"):
        world.run(verb, "h")
    assert world.run("submit", "alice", " two").stdout == "1\n"
    assert (world.directory / "out" / "seen").read_text() == "xone two"
    granted = {"network": False, "read": [f"{world.directory}/corpus"], "write": [f"{world.directory}/out"], "gpu": False}
    assert world.json("view", "h")["sandbox"] == granted
    assert f"  Sandbox:      {told}\n" in world.run("view", "h").stdout

    handler.write_text(handler.read_text().replace('"write=./out"', '"write=./out", "network"'))
    before = world.registry()
    refused = world.run("restart", "h", code=4).stderr
    assert "❌ The handler needs what it is not granted: network." in refused
    assert "   If it may: nectar restart h --allow network\n" in refused
    assert world.registry() == before and world.run("submit", "alice", "q").stdout == "1\n", "the old one goes on"
    restarted = world.run("restart", "h", "--allow", "network").stdout
    assert f"   Sandbox: network (the host's, its loopback and abstract sockets included), {told}\n" in restarted
    written = world.run("export").stdout
    assert tomllib.loads(written)["handlers"]["h"]["allow"] == ["network", *told.split(", ")]
    file = world.file("hive.toml", written)
    assert world.run("up", "-f", file).stderr == "All is as the file says.\n"
    world.file("hive.toml", written.replace('    "network",\n', ""))
    would = f"h: would be replaced: allow: network, {told} → {told}\n"
    assert world.run("up", "-f", file, "--dry-run").stdout == would
    refused = world.run("up", "-f", file, code=4).stderr
    assert "If it may, in [handlers.h], allow is to have: 'network'" in refused
    assert world.registry()["h"]["sandbox"] == {**granted, "network": True}


def test_a_shell_that_wants_walls_has_no_handler_start_without(world: World) -> None:
    wanted = {"NECTAR_SANDBOX": "1"}
    handler = world.file("h.py")
    world.run("launch", handler, "without", "--no-sandbox", env=wanted)
    world.run("launch", handler, "within", env=wanted)
    assert [record["sandbox"] is None for record in world.registry().values()] == [True, False]
    with_one = f"With one: nectar launch {handler} without --sandbox"
    assert with_one in world.run("restart", "--all", env=wanted, code=4).stderr
    world.run("stop", "without")
    assert with_one in world.run("start", "without", env=wanted, code=4).stderr
    world.run("start", "without", env={"NECTAR_SANDBOX": "0"})
    assert world.run("restart", "without", "--allow", "network", code=4).stderr.startswith("❌ It has no wall")
    said = world.run("launch", handler, "within", "--replace").stderr
    assert "That one has a wall, and this one has none." in said
    assert "NECTAR_SANDBOX is 1, or 0" in world.run("test", handler, env={"NECTAR_SANDBOX": "yes"}, code=2).stderr


WRITES = """
    import os
    from nectar import handler

    @handler
    def answer(comp):
        written = 0
        for path in comp.query.split():
            try:
                open(f"{path}/here", "w").close()
                written += 1
            except OSError as error:
                print(path, error.strerror)
        return written
"""


def test_what_is_granted_in_a_project_lies_among_what_it_was_built_from(world: World) -> None:
    """Also where that has no such directory, or one reaches it by a link."""
    project = world.project("writes")
    (project / "src" / "writes" / "__init__.py").write_text(world.file("aside.py", WRITES).read_text())
    (project / ".gitignore").write_text("ignored/\n")
    for directory in ("src/writes/ignored", "out/ignored"):
        (project / directory).mkdir(parents=True)
    (project / "out" / "kept").write_text("")
    (project / "nowhere").symlink_to("absent")
    (world.directory / "way").symlink_to("writes")
    grants = ("--allow", "write=src/writes/ignored", "--allow", "write=out/ignored", "--allow", "read=out")
    query = "src/writes/ignored out/ignored src/writes out . nowhere"
    for handler in (project, world.directory / "way"):
        ran = world.run("test", handler, "--sandbox", *grants, "--query", query, "--expect", "2")
        said = [f"{path} Read-only file system" for path in ("src/writes", "out", ".")]
        assert ran.stderr.splitlines()[-4:] == [*said, "nowhere No such file or directory"]
    assert {path.parent.parent.name for path in project.rglob("here")} == {"writes", "out"}
