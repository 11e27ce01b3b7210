"""A mistaken command line leads on: to the right command, to the nearest name, to what was meant. Nothing runs by a guess."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING

import click
import pytest

from nectar.cli import verbs
from nectar.cli.app import app
from nectar.cli.values import Number
from nectar.cli.verbs import SYNONYMS, VERBS

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.once, pytest.mark.anywhere]


@pytest.fixture
def populated(world: World) -> World:
    """Three handlers, none of which runs: h01 answers for node01 and node02, h02 for none; and a node without a handler."""
    for alias in ("node01", "node02", "lonely"):
        world.node(alias)
    world.home.create()
    records = {
        "h01": {"status": "stopped", "desired": "stopped", "handler": "/x/analyze.py", "attached_aliases": ["node01", "node02"]},
        "h02": {"status": "stopped", "desired": "stopped"},
        "other": {"status": "stopped", "desired": "stopped"},
    }
    world.home.registry.write_text(json.dumps(records))
    return world


def said(world: World, line: str, code: int) -> tuple[str, str]:
    """The error's first line and its last, without what stands before them."""
    ended = world.run(*line.split(), code=code)
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert 2 <= len(lines) <= 3, lines
    data_dir = f" --data-dir {world.home.data_dir}"
    return lines[0].removeprefix("❌ "), lines[-1].strip().replace(data_dir, "")


def test_what_others_call_it_is_an_error_with_the_right_command(world: World) -> None:
    for line, meant in (
        ("ps", "nectar view"),
        ("ls -a", "nectar view"),
        ("rm h02 h03", "nectar remove h02 h03"),
        ("rm -f h02", "nectar remove NAME"),
        ("tail h02", "nectar logs h02"),
        ("deploy a.py h", "nectar launch a.py h"),
        ("kil h", "nectar stop h"),
        ("reload h", "nectar restart h"),
        ("inspect", "nectar view NAME"),
        ("down", "nectar stop --all"),
        ("help", "nectar --help"),
        ("monit", "nectar view --watch"),
        ("save", "nectar export"),
        ("shutdown", "nectar stop --all"),
    ):
        first, last = said(world, line, 2)
        assert first == f"There is no command {line.split()[0]!r}."
        assert last == f"In nectar it is: {meant}"
    assert "Did you mean 'restart'?" in said(world, "restat h", 2)[1]
    assert said(world, "pause h", 2)[1] == "nectar --help shows the commands.", "it is not so like 'prune' that it means that"
    assert "nectar launch ./a.py" in said(world, "./a.py", 2)[1]
    assert not world.home.registry.exists()


def test_what_is_meant_is_there_and_no_synonym_is_a_verb() -> None:
    assert not SYNONYMS.keys() & VERBS.keys()
    for meant in SYNONYMS.values():
        verb, *rest = meant.split()
        if verb in VERBS:
            known = [
                name
                for parameter in importlib.import_module(f"nectar.cli.commands.{verb}").command.params
                for name in parameter.opts
            ]
            assert {word for word in rest if word.startswith("--") and word != "--"} <= {*known}


def test_each_verb_has_an_example_that_can_be_typed_and_bounds_in_plain_words() -> None:
    assert verbs.EXAMPLES.keys() == VERBS.keys()
    for verb in VERBS:
        command = app.get_command(click.Context(app), verb)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter.type, Number) and isinstance(parameter, click.Option):
                assert str(parameter.type) in (parameter.help or "")


@pytest.mark.parametrize(
    ("line", "first", "last"),
    [
        ("stop h1", "There is no handler 'h1'.", "Did you mean 'h01'? nectar view lists the handlers."),
        ("stop xyzzy", "There is no handler 'xyzzy'.", "nectar view lists the handlers."),
        ("stop node01", "There is no handler 'node01': that is a node, and 'h01' is its handler.", "nectar stop h01"),
        (
            "stop lonely",
            "There is no handler 'lonely': that is a node, and no handler answers for it.",
            "nectar attach NAME lonely",
        ),
        ("view node02", "There is no handler 'node02': that is a node, and 'h01' is its handler.", "nectar view h01"),
        ("logs -q analyze.py", "There is no handler 'analyze.py': that is the file of 'h01'.", "nectar logs -q h01"),
        ("attach node01 h01", "'node01' is a node, and 'h01' a handler: the handler comes first.", "nectar attach h01 node01"),
        ("detach node01 h01", "'node01' is a node, and 'h01' a handler: the handler comes first.", "nectar detach h01 node01"),
        ("detach h02 node01", "The handler 'h02' is not attached to 'node01'.", "nectar detach h01 node01"),
        ("submit h01 q", "There is no node 'h01': that is a handler, and it answers for node01, node02.", "nectar submit node01 q"),
        ("submit h02 q", "There is no node 'h02': that is a handler.", "nectar attach h02 ALIAS"),
        ("submit q node01", "'q' is no node, and 'node01' is one: the node comes first.", "nectar submit node01 q"),
        ("submit nod01 q", "There is no node 'nod01'.", "Did you mean 'node01'? The node makes it when it runs;"),
        ("start @node1", "There is no node 'node1'.", "Did you mean 'node01'? The node makes it when it runs;"),
        ("restart @lonely", "No handler answers for 'lonely'.", "nectar attach NAME lonely"),
        ("stop h9*", "No handler's name fits 'h9*'.", "nectar view lists the handlers."),
    ],
)
def test_a_name_that_there_is_not(populated: World, line: str, first: str, last: str) -> None:
    found = said(populated, line, 3)
    assert found[0] == first
    assert "is not a directory" not in populated.run(*line.split(), code=3).stderr or first.endswith("'.")
    assert found[1].startswith(last)


def test_a_name_is_told_as_json_too(populated: World) -> None:
    error = populated.json("view", "node01", code=3)["error"]
    assert "'h01' is its handler" in error["message"]
    assert error["hint"].startswith("nectar ")
    assert error["hint"].endswith("view h01 --json")


def test_patterns_and_aliases_choose_handlers(populated: World) -> None:
    assert "There is no running handler." in populated.run("stop", "h0*").stderr
    assert "'h01'" in populated.run("stop", "@node01", code=4).stderr
    assert populated.run("view", "@node02").stdout.startswith("h01\n")
    assert populated.run("remove", "h0?", "@node01").stdout == "✅ Handler removed: h01\n✅ Handler removed: h02\n2 removed\n"
    assert [*populated.registry()] == ["other"]
    assert "There is nothing to remove." in populated.run("-q", "remove", "--all", "-v").stderr or not populated.registry()


def test_options_of_all_verbs_also_behind_them(populated: World, fresh: World) -> None:
    data_dir = ["--data-dir", str(populated.home.data_dir)]
    ended = fresh.run_by_default("view", "h01", *data_dir, env={"NECTAR_DATA_DIR": "/nowhere"})
    assert ended.stdout.startswith("h01\n")
    assert "\x1b[" in populated.run("stop", "nobody", "--color", "always", code=3).stderr
    assert "Traceback" not in populated.run("stop", "nobody", "-v", code=3).stderr
    assert populated.run("stop", "--all", "-q").stderr == ""
    assert populated.run("view", "--version").stdout.startswith("nectar ")
    assert "behind the handler" in populated.run("exec", "h01", "--", "-q", code=2).stderr


def test_launch_takes_one_handler(world: World) -> None:
    world.file("a.py")
    world.file("b.py")
    world.file("pkg/pyproject.toml", "")
    assert said(world, "launch a.py b.py", 2) == (
        "launch runs one handler, and 'b.py' is another one.",
        "nectar launch a.py; nectar launch b.py",
    )
    assert said(world, "launch a.py b.py pkg a.py", 2)[1] == "nectar launch a.py; nectar launch b.py; nectar launch pkg; …"
    assert said(world, "launch a.py pkg", 2)[0] == "launch runs one handler, and 'pkg' is another one."
    assert said(world, "launch h b.py", 2) == (
        "'b.py' is what to run, and 'h' a name: the handler comes first.",
        "nectar launch b.py h",
    )
    assert "another one" in said(world, "launch nowhere.py b.py", 2)[0]
    assert "--attach ALIAS" in said(world, "launch a.py h alice", 2)[1]
    assert not world.home.registry.exists()


def test_a_help_fits_on_a_narrow_terminal(world: World) -> None:
    for verb in ([], ["launch"], ["test"]):
        shown = world.run(*verb, "--help", env={"COLUMNS": "40"}).stdout
        example = verbs.EXAMPLES.get(verb[0] if verb else "", "")
        assert [line for line in shown.splitlines() if len(line) > 40 and line.strip() != example] == []
    assert "256" in world.run("launch", "x", "--workers", "300", code=2).stderr
    assert "a whole number of 1 to 256" in world.run("launch", "x", "--workers", "many", code=2).stderr
    assert "a number of 0 to 86,400" in world.run("stop", "x", "--timeout", "nan", code=2).stderr
