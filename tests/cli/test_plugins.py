"""Plugins of the command line: distributions beside nectar, good and bad; none of them stops a verb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.world import PATIENCE

if TYPE_CHECKING:
    from tests.world import World

HELLO = """
    import click
    from nectar import hookimpl

    @click.command()
    @click.argument("whom", default="you")
    @click.pass_obj
    def hello(session, whom):
        "Greets somebody."
        click.echo(f"hello {whom} at {session.home_to_make.data_dir}")
        return 4 if whom == "nobody" else None

    @click.command()
    def breaks():
        raise KeyError("its own")

    @click.command()
    def refuses():
        raise click.ClickException("not today")

    @click.group()
    def fleet():
        "Several at once."

    @fleet.command()
    @click.option("-v", "how", default="neatly")
    def names(how):
        click.echo(f"a, b {how}")

    @hookimpl
    def nectar_commands():
        return [hello, breaks, refuses, fleet]
    """
BAD = {
    "missing": ("import nowhere_to_be_found", "it cannot be loaded: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    "leaves": ("import sys; print('leaving'); sys.exit('now')", "it cannot be loaded: SystemExit: now"),
    "unknown": (
        "import nectar\n@nectar.hookimpl\ndef nectar_comands(): ...",
        "its hooks cannot be used: PluginValidationError: unknown hook 'nectar_comands'",
    ),
    "raises": ("import nectar\n@nectar.hookimpl\ndef nectar_commands(): 1 // 0", "its nectar_commands failed: ZeroDivisionError: "),
    "unmarked": ("def nectar_commands(): ...", "its nectar_commands is not called: it has no @nectar.hookimpl on it"),
    "no_command": (
        "import nectar\n@nectar.hookimpl\ndef nectar_commands(): yield print",
        "among its verbs is a builtin_function_or_method, which is no click command",
    ),
    "taken": (
        "import click, nectar\n@nectar.hookimpl\ndef nectar_commands(): return [click.Command('view'), click.Command('hello')]",
        "its verb 'view' is not used: it is nectar's",
    ),
}


EACH = """
import json, os, sys, tempfile

sys.path.append(sys.argv[1])
from nectar.cli import boundary, main

said = []
for command in sys.argv[3:]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        if (pid := os.fork()) == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.argv[1:] = ["--data-dir", sys.argv[2], *command.split()]
            main()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for stream in (output, errors):
            stream.seek(0)
        said.append([code, output.read().decode(), errors.read().decode()])
print(json.dumps(said))
"""
"""Forks a command for each command line, from one interpreter that has imported nothing of plugins."""


class Said(NamedTuple):
    code: int
    output: str
    errors: str


class Beside:
    """What is installed beside nectar: a directory on its path."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.directory = world.directory / "beside"

    def install(self, name: str, text: str, *, version: str = "1.0") -> None:
        installed = self.directory / f"nectar_{name}-{version}.dist-info"
        installed.mkdir(parents=True)
        (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: nectar-{name}\nVersion: {version}\n")
        (installed / "entry_points.txt").write_text(f"[nectar.plugins]\n{name} = plugin_{name}\n")
        (self.directory / f"plugin_{name}.py").write_text(textwrap.dedent(text))

    def run(self, *commands: str, **variables: str) -> list[Said]:
        """What each of these command lines says."""
        program = [sys.executable, "-I", "-c", EACH, str(self.directory), str(self._world.home.data_dir), *commands]
        ended = subprocess.run(
            program, capture_output=True, text=True, check=False, env={**os.environ, **variables}, timeout=PATIENCE
        )
        assert ended.returncode == 0, ended.stderr
        return [Said(*said) for said in json.loads(ended.stdout)]


@pytest.fixture
def beside(world: World) -> Beside:
    return Beside(world)


def test_a_verb_of_a_plugin_is_one_like_any_other(world: World, beside: Beside) -> None:
    beside.install("greeter", HELLO)
    greeted, refused, helped, usage, wrong, near, broken, explained, own = beside.run(
        "hello bee", "hello nobody", "--help", "hello --help", "hello b c", "hallo", "breaks", "-v breaks", "refuses"
    )
    named, unnamed, elsewhere = beside.run("-v fleet -v names -v quickly", "fleet", "hello --data-dir /else -q")
    assert named == (0, "a, b quickly\n", "")
    assert elsewhere == (0, "hello you at /else\n", "")
    assert "\n  names\n" in unnamed.output + unnamed.errors
    assert greeted == (0, f"hello bee at {world.home.data_dir}\n", "")
    assert refused.code == 4
    assert helped.output.index("Commands of plugins:") < helped.output.index("  hello    Greets somebody.")
    assert usage.output.startswith("Usage: nectar hello")
    assert (wrong.code, wrong.errors.splitlines()[1]) == (2, "   nectar hello --help shows what it takes.")
    assert (near.code, near.errors) == (2, "❌ There is no command 'hallo'.\n   Did you mean 'hello'?\n")
    assert "❌ Plugin 'greeter' of nectar-greeter 1.0 has a bug: KeyError: 'its own'" in broken.errors
    assert (broken.code, "Traceback" in broken.errors) == (1, False)
    assert 'raise KeyError("its own")' in explained.errors
    assert own == (1, "", "❌ not today\n")


def test_plugins_that_fail_are_named_and_stop_nothing(beside: Beside) -> None:
    (before,) = beside.run("view")
    for name, (text, _) in BAD.items():
        beside.install(name, text)
    beside.install("greeter", HELLO)
    greeted, helped, listed, view = beside.run("hello", "--help", "plugins --json", "view")
    assert (greeted.code, helped.code, view) == (0, 0, before)
    assert "  hello    Greets somebody." in helped.output
    said = greeted.errors.splitlines()
    for name, (_, trouble) in BAD.items():
        (line,) = [line for line in said if f"nectar-{name} 1.0" in line and "'hello'" not in line]
        assert line.startswith(f"⚠️  Plugin '{name}' of nectar-{name} 1.0: {trouble}")
        assert line in helped.errors
    assert "⚠️  Plugin 'taken' of nectar-taken 1.0: its verb 'hello' is not used: it is nectar-greeter's." in said
    assert [line for line in said if not line.startswith("⚠️  ")] == ["leaving"]
    found = {plugin["name"]: plugin for plugin in json.loads(listed.output)["plugins"]}
    assert found["greeter"] == {
        "name": "greeter",
        "value": "plugin_greeter",
        "distribution": "nectar-greeter",
        "version": "1.0",
        "hooks": ["nectar_commands"],
        "verbs": ["hello", "breaks", "refuses", "fleet"],
        "errors": [],
    }
    for name, (_, trouble) in BAD.items():
        assert found[name]["errors"][0]["message"].startswith(trouble)
    assert "nowhere_to_be_found" in found["missing"]["errors"][0]["detail"]


def test_plugins_shows_each_with_what_is_wrong(beside: Beside) -> None:
    beside.install("greeter", HELLO)
    beside.install("raises", BAD["raises"][0], version="2.1")
    told, explained = beside.run("plugins", "-v plugins")
    assert told.errors == ""
    assert told.output.splitlines() == [
        "nectar-greeter 1.0: greeter (plugin_greeter)",
        "   Hooks: nectar_commands",
        "   Verbs: hello, breaks, refuses, fleet",
        "nectar-raises 2.1: raises (plugin_raises)",
        "   Hooks: nectar_commands",
        "   ⚠️  Its nectar_commands failed: ZeroDivisionError: integer division or modulo by zero",
    ]
    assert "plugin_raises.py" in explained.errors


def test_disabled_ones_are_not_loaded(beside: Beside) -> None:
    none, before = beside.run("plugins", "--help")
    assert none.errors == "There are no plugins.\n"
    beside.install("greeter", HELLO)
    beside.install("leaves", BAD["leaves"][0])
    unknown, helped, told, listed = beside.run("hello", "--help", "plugins", "plugins --json", NECTAR_DISABLE_PLUGINS="1")
    assert "There is no command 'hello'" in unknown.errors
    assert helped == before
    assert told.errors == "None is loaded: NECTAR_DISABLE_PLUGINS is set.\n"
    assert told.output.splitlines() == [f"nectar-{name} 1.0: {name} (plugin_{name})" for name in ("greeter", "leaves")]
    fields = json.loads(listed.output)
    assert fields["disabled"]
    assert [plugin["hooks"] for plugin in fields["plugins"]] == [[], []]


@pytest.mark.once
def test_where_there_is_none_nothing_is_imported_that_finds_them() -> None:
    program = "import sys; from nectar.cli.boundary import run; run(['--help']); run(['vew']); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True)
    assert not {"importlib.metadata", "pluggy", "dataclasses"} & {*ended.stdout.splitlines()[-1].split()}
