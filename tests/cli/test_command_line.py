"""What holds for every verb: help, errors, exit codes, colour."""

from __future__ import annotations

import importlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nectar
from nectar import __version__
from nectar.cli.verbs import VERBS
from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from tests.world import World


def test_version(world: World) -> None:
    assert world.run("--version").stdout == f"nectar {__version__}\n"
    ended = subprocess.run([sys.executable, "-m", "nectar", "--version"], check=True, capture_output=True, text=True)
    assert ended.stdout == f"nectar {__version__}\n"


def test_version_imports_no_verb_and_no_package_of_a_build(world: World) -> None:
    program = "import sys; sys.argv = ['nectar', '--version']; from nectar.cli.boundary import run; run(['--version']); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=world.directory)
    imported = set(ended.stdout.split())
    assert not {name for name in imported if name.startswith(("nectar.cli.commands", "nectar.manage"))}
    assert not imported & {"tomllib", "tomli_w", "uv", "pluggy", "watchdog", "importlib.metadata", "subprocess", "hashlib"}


def test_verbs_that_build_nothing_import_nothing_of_a_build(world: World) -> None:
    commands = [["view"], ["logs", "a"], ["attach", "a", "alice"], ["detach", "a", "alice"], ["stop", "a"], ["remove", "a"]]
    program = f"import sys; from nectar.cli.boundary import run; [run(each) for each in {commands}]; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=world.directory)
    imported = set(ended.stdout.splitlines()[-1].split())
    assert {f"nectar.cli.commands.{verb}" for verb, *_ in commands} <= imported
    assert not {name for name in imported if name.startswith(("nectar.manage.environment", "nectar.manage.source"))}
    assert not imported & {"tomllib", "tomli_w", "uv", "shutil", "tempfile", "subprocess", "hashlib"}


def test_help_names_every_verb(world: World) -> None:
    shown = world.run("--help").stdout
    assert all(f"  {verb} " in shown for verb in VERBS)


EACH_HELPS = """
import os, sys
from nectar.cli import boundary, main

assert not [name for name in sys.modules if name.startswith("nectar.cli.commands.")]
for verb in sys.argv[1:]:
    if os.fork() == 0:
        sys.argv[1:] = [verb, "--help"]
        main()
    code = os.waitstatus_to_exitcode(os.wait()[1])
    print(f"\\0{verb} {code}\\0", end="", flush=True)
"""


def test_every_verb_is_there_and_helps(world: World) -> None:
    """Each is forked from an interpreter that has imported no verb, or it would not be seen that one does not import what it needs."""
    ended = subprocess.run(
        [sys.executable, "-c", EACH_HELPS, *VERBS],
        check=True,
        capture_output=True,
        text=True,
        cwd=world.directory,
        timeout=PATIENCE,
    )
    shown = ended.stdout.split("\0")
    assert shown[1::2] == [f"{verb} 0" for verb in VERBS]
    for verb, text in zip(VERBS, shown[::2], strict=False):
        assert importlib.import_module(f"nectar.cli.commands.{verb}").command.help
        assert text.startswith(f"Usage: nectar {verb} ")
        assert "\b" not in text
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([], "There is no command", "nectar --help"),
        (["lanch"], "'lanch'", "Did you mean 'launch'?"),
        (["xyzzy"], "'xyzzy'", "nectar --help"),
        (["--nonsense"], "--nonsense", "nectar --help"),
        (["view", "--nonsense"], "--nonsense", "nectar view --help"),
        (["attach", "a"], "ALIAS", "nectar attach --help"),
        (["stop"], "--all", "nectar stop --help"),
        (["stop", "a", "--all"], "--all", "nectar stop --help"),
        (["stop", "../evil"], "'../evil'", "1 to 64"),
        (["logs", "a" * 65], "aaa", "1 to 64"),
        (["attach", "a", "nectar"], "'nectar'", "data dir"),
        (["attach", "a", "../alice"], "'../alice'", "data dir"),
        (["logs", "a", "-n", "-1"], "-1", "nectar logs --help"),
        (["submit", "alice", "q", "--metadata", "k"], "K=V", "nectar submit --help"),
    ],
)
def test_a_wrong_command_line(world: World, arguments: list[str], message: str, hint: str) -> None:
    ended = world.run(*arguments, code=2)
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) <= 3
    assert message in lines[0]
    assert hint in lines[-1]
    assert not world.home.registry.exists()


@pytest.mark.parametrize("arguments", [["view", "--nonsense"], ["submit", "nobody", "q"], ["lanch"]])
def test_an_error_as_json(world: World, arguments: list[str]) -> None:
    error = world.json(*arguments, code=None)["error"]
    assert {"kind", "message", "hint"} <= set(error)
    assert error["message"]


def test_a_data_dir_that_cannot_be_written(world: World) -> None:
    world.file("blocked/handler.py")
    inside_a_file = world.file("occupied", "")
    ended = subprocess.run(
        [sys.executable, "-m", "nectar.cli", "--data-dir", str(inside_a_file / "x"), "launch", "blocked/handler.py", "h"],
        capture_output=True,
        text=True,
        check=False,
        cwd=world.directory,
    )
    assert ended.returncode == 2
    assert str(inside_a_file) in ended.stderr
    assert "--data-dir" in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3


def test_the_data_dir_is_an_option_a_variable_and_relative_to_where_one_is(world: World) -> None:
    world.node("alice")
    program = [sys.executable, "-m", "nectar.cli"]
    ways: list[tuple[list[str], dict[str, str]]] = [(["--data-dir", "bee-hive"], {}), ([], {"NECTAR_DATA_DIR": "bee-hive"})]
    for options, environment in ways:
        ended = subprocess.run(
            [*program, *options, "submit", "alice", "q", "--no-wait"],
            check=True,
            capture_output=True,
            text=True,
            cwd=world.directory,
            env={**os.environ, **environment},
        )
        assert (world.node("alice") / f"{ended.stdout.strip()}.pending").exists()


def test_color(world: World) -> None:
    assert "\x1b" not in world.run("stop", "nobody", code=3).stderr
    assert "\x1b[" in world.run("--color", "always", "stop", "nobody", code=3).stderr
    assert _on_terminal(world).startswith("\x1b[")
    assert "\x1b" not in _on_terminal(world, env={"NO_COLOR": "1"})
    assert "\x1b" not in _on_terminal(world, env={"TERM": "dumb"})
    assert "\x1b" not in _on_terminal(world, "--color", "never")


def test_without_color_the_text_is_the_same(world: World) -> None:
    plain, colored = (world.run("--color", choice, "stop", "nobody", code=3).stderr for choice in ("never", "always"))
    assert colored.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain


def test_an_encoding_without_emoji_is_no_reason_to_fail(world: World) -> None:
    ended = world.run("view", env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    assert "Total: 0 handler(s), 0 running" in ended.stdout


def test_a_reader_that_has_seen_enough(world: World) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = world.begin("view", stdout=writing)
    os.close(writing)
    _, errors = process.communicate(timeout=60)
    assert errors == "" or "No handlers" in errors or "The first one" in errors


def test_an_interrupt_ends_with_130(world: World) -> None:
    world.node("alice")
    process = world.begin("submit", "alice", "q", "--deadline", "600")
    until(lambda: list(world.node("alice").glob("*.pending")), "the question is there")
    (pending,) = world.node("alice").glob("*.pending")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr is not None
    assert process.stderr.read().strip() == f"The question {pending.stem} was taken back."
    assert not list(world.node("alice").iterdir())


def test_a_bug_is_told_in_three_lines_and_whole_with_verbose(world: World) -> None:
    world.home.nectar.mkdir(exist_ok=True)
    ended = world.run("view", env={"PYTHONPATH": _broken(world)}, code=1)
    assert len(ended.stderr.splitlines()) == 3
    assert "Nectar has a bug: ZeroDivisionError" in ended.stderr
    assert "Traceback" in world.run("-v", "view", env={"PYTHONPATH": _broken(world)}, code=1).stderr


def test_quiet_leaves_out_the_talk_and_not_the_error(world: World) -> None:
    assert world.run("-q", "view").stderr == ""
    assert world.run("-q", "stop", "nobody", code=3).stderr.startswith("❌ There is no handler 'nobody'.")


def test_control_characters_are_shown_and_not_sent(world: World) -> None:
    world.home.registry.write_text(json.dumps({"a": {"status": "stopped", "handler": "/x/\x1b[2Jevil\u202e"}}))
    shown = world.run("view").stdout
    assert "\\x1b[2Jevil\\u202e" in shown
    assert "\x1b" not in shown


def _broken(world: World) -> str:
    """A directory whose ``sitecustomize`` breaks something deep inside."""
    world.file("broken/sitecustomize.py", "import nectar.manage.handlers.registry as r\nr.read = lambda home: 1 / 0\n")
    return os.pathsep.join([str(world.directory / "broken"), *filter(None, sys.path)])


def _on_terminal(world: World, *options: str, env: dict[str, str] | None = None) -> str:
    """What an error looks like on a terminal."""
    outer, inner = pty.openpty()
    process = world.fork(*options, "stop", "nobody", stderr=inner, env={"TERM": "xterm", **(env or {})})
    os.close(inner)
    process.wait(60)
    shown = os.read(outer, 65536).decode()
    os.close(outer)
    return shown


def test_where_another_distribution_has_overwritten_the_package_it_says_so(tmp_path: Path) -> None:
    shutil.copytree(Path(nectar.__file__).parent, tmp_path / "nectar", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "nectar" / "__init__.py").write_text("from nectar.controller import *\n__version__ = '3'\n")
    (tmp_path / "nectar" / "controller.py").write_text("")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from nectar.cli import main; main()"
    ended = subprocess.run([sys.executable, "-I", "-c", program, "view"], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"{tmp_path / 'nectar' / '__init__.py'} is not ours" in ended.stderr
    assert "Traceback" not in ended.stderr and "pip uninstall --yes nectar bee-hive-nectar" in ended.stderr
