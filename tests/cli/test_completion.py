"""Completion in real shells: verbs, options, handlers, nodes; without a word to a daemon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.terminal import Terminal

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.once, pytest.mark.anywhere]


@pytest.fixture
def populated(world: World) -> World:
    """Two handlers, and ``nectar`` as a command."""
    for alias in ("node01", "lonely"):
        world.node(alias)
    world.home.create()
    records = {
        "h01": {"status": "running", "desired": "running", "attached_aliases": ["node01"]},
        "h02": {"status": "stopped"},
        "other": {"status": "stopped"},
    }
    world.home.registry.write_text(json.dumps(records))
    command = world.file("bin/nectar", f'#!/bin/sh\nexec {sys.executable} -m nectar.cli "$@"\n')
    command.chmod(0o755)
    return world


def variables(world: World) -> dict[str, str]:
    path = f"{world.directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {"NECTAR_DATA_DIR": str(world.home.data_dir), "PATH": path}


def offered(world: World, line: str) -> list[str]:
    """What a shell is given for the last word of a line."""
    words = line.split(" ")
    how = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_NECTAR_COMPLETE": "bash_complete"}
    ended = world.run_by_default(env={**variables(world), **how})
    assert ended.stderr == ""
    return [each.partition(",")[2] or each for each in ended.stdout.splitlines() if each]


def test_what_is_offered(populated: World) -> None:
    assert offered(populated, "nectar st") == ["stop", "start"]
    assert offered(populated, "nectar stop ") == ["h01", "h02", "other"]
    assert offered(populated, "nectar stop h01 h") == ["h02"]
    assert offered(populated, "nectar view @") == ["@node01"]
    assert offered(populated, "nectar attach h02 l") == ["lonely"]
    assert offered(populated, "nectar detach h01 ") == ["node01"]
    assert offered(populated, "nectar submit ") == ["lonely", "node01"]
    assert offered(populated, "nectar launch x --attach n") == ["node01"]
    assert offered(populated, "nectar launch ") == ["file,"]
    assert offered(populated, "nectar exec o") == ["other"]
    assert offered(populated, "nectar exec ./p") == ["./p"]
    assert offered(populated, "nectar view --ch") == ["--check"]
    assert offered(populated, "nectar completion z") == ["zsh"]
    offered(populated, "nectar nonsense ")
    assert offered(populated, f"nectar --data-dir {populated.directory} stop ") == []
    populated.home.registry.write_text("{broken")
    assert offered(populated, "nectar stop ") == []


def test_it_is_quick(populated: World) -> None:
    """A verb is completed without an import of the verbs, a name without those of a build."""
    program = (
        "import sys; from nectar.cli.boundary import run\ntry: run([])\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    for line, verbs in (("nectar st", set()), ("nectar stop h", {"nectar.cli.commands", "nectar.cli.commands.stop"})):
        how = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_NECTAR_COMPLETE": "bash_complete"}
        ended = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv[0] = 'nectar'\n{program}"],
            env={**os.environ, **variables(populated), **how},
            check=True,
            capture_output=True,
            text=True,
            cwd=populated.directory,
        )
        imported = set(ended.stderr.split())
        assert {name for name in imported if name.startswith("nectar.cli.commands")} == verbs
        assert not imported & {"tomllib", "uv", "subprocess", "importlib.metadata", "nectar.manage.environment"}


BASH = shutil.which("bash")


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_bash_completes(populated: World) -> None:
    bash = Terminal([str(BASH), "--norc", "--noprofile", "-i"], str(populated.directory), env={**variables(populated), "PS1": "> "})
    try:
        bash.wait_for("> ")
        bash.type('eval "$(nectar completion bash)"; echo re""ady\n')
        bash.wait_for("ready\r\n")
        for typed, whole in (("nectar rest\t", "art "), ("nectar stop @no\t", "de01 "), ("nectar remove ot\t", "her ")):
            bash.type(typed)
            bash.wait_for(typed.rstrip("\t") + whole)
            bash.type("\x15")  # the line is taken back
    finally:
        bash.close()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_reads_it(populated: World) -> None:
    program = 'autoload -U compinit && compinit -D; eval "$(nectar completion zsh)"; whence -w _nectar_completion'
    ended = subprocess.run(
        ["zsh", "-f", "-c", program], env={**os.environ, **variables(populated)}, check=True, capture_output=True, text=True
    )
    assert ended.stdout == "_nectar_completion: function\n"


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes(populated: World) -> None:
    program = 'nectar completion fish | source; complete -C "nectar stop h"'
    ended = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env={**os.environ, **variables(populated)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["h01", "h02"]


def test_the_scripts_of_the_others_are_those_of_click(world: World) -> None:
    assert world.run("completion", "zsh").stdout.startswith("#compdef nectar\n")
    assert "complete --no-files --command nectar" in world.run("completion", "fish").stdout
    assert "'bash', 'zsh', 'fish'" in world.run("completion", "csh", code=2).stderr
