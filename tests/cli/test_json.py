"""``--json`` prints one object for each verb that it is there for, errors included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest

from nectar.cli.app import app

if TYPE_CHECKING:
    from tests.world import World

WRONG = {
    "new": ["new"],
    "test": ["test", "nowhere.py", "--repeat", "0"],
    "launch": ["launch", "a.py", "b.py"],
    "attach": ["attach", "h"],
    "detach": ["detach", "..", "alice"],
    "view": ["view", "--brief", "--check"],
    "stop": ["stop"],
    "start": ["start", "h", "--all"],
    "restart": ["restart", "--nonsense"],
    "remove": ["remove", "-x"],
    "submit": ["submit", "alice"],
    "gc": ["gc", "more"],
    "doctor": ["doctor", "more"],
    "plugins": ["plugins", "more"],
}
"""A command line for each that is refused before anything is looked at."""


def test_every_verb_that_tells_a_script_something_has_it() -> None:
    for verb in (*WRONG, "exec"):
        command = app.get_command(click.Context(app), verb)
        assert command is not None
        assert any("--json" in parameter.opts for parameter in command.params), verb


@pytest.mark.once
@pytest.mark.anywhere
def test_a_wrong_command_line_is_one_object(world: World) -> None:
    for verb, line in WRONG.items():
        error = world.json(verb, *line[1:], code=2)["error"]
        assert error["kind"] == "usage", verb
        assert error["message"], verb


@pytest.mark.uv
@pytest.mark.once
def test_a_handlers_day_as_json(world: World) -> None:
    world.node()
    world.file("h.py")
    world.file("broken.py", "import no_such_module_at_all\n")
    launched = world.json("launch", "h.py")["handler"]
    assert (launched["name"], launched["status"], launched["warnings"], launched["problems"]) == ("h", "running", [], {})
    assert launched["environment"]["path"].startswith(str(world.home.envs))
    failed = world.json("launch", "broken.py", code=1)["error"]
    assert "no_such_module_at_all" in failed["detail"]
    assert world.json("launch", "h.py", code=4)["error"]["kind"] == "conflict"
    assert world.json("attach", "h", "alice") == {"schema": 1, "name": "h", "aliases": ["alice"]}
    assert world.json("attach", "h", "bob", code=3)["error"]["kind"] == "not-found"
    (restarted,) = world.json("restart", "@alice")["handlers"]
    assert (restarted["name"], restarted["outcome"], restarted["error"]) == ("h", "restarted", None)
    assert restarted["handler"]["pid"] != launched["pid"]
    world.home.registry.write_text(json.dumps({**world.registry(), "old": {"status": "stopped"}}))
    stopped: list[dict[str, Any]] = world.json("stop", "h", "old", code=4)["handlers"]
    assert [(row["name"], row["outcome"]) for row in stopped] == [("h", "stopped"), ("old", "failed")]
    assert stopped[1]["error"]["kind"] == "conflict"
    assert world.json("start", "@alice")["handlers"][0]["handler"]["attached_aliases"] == ["alice"]
    assert world.json("detach", "h", "alice")["aliases"] == ["alice"]
    assert [row["outcome"] for row in world.json("remove", "h", "old", "--stop")["handlers"]] == ["removed", "removed"]
    assert world.json("stop", "--all") == {"schema": 1, "handlers": []}
    made = world.json("new", "project", "--no-dev")
    assert made["path"] == str(world.directory / "project")
    assert made["environment"] is None
    assert world.json("gc", "--dry-run").keys() == {"schema", "dry_run", "unused"}
    error = json.loads(world.run("exec", "--json", "nobody", "--", "true", code=3).stdout)["error"]
    assert error["kind"] == "not-found"
    assert json.loads(world.run("exec", "--json", "h", code=2).stdout)["error"]["kind"] == "usage"
    assert world.run("exec", "nobody", "python", "--json", code=3).stdout == ""
