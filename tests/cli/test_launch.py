"""``nectar launch``: ready when it returns, and nothing left of a try that failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.world import TWICE, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.uv


def test_it_prints_what_scripts_read_and_is_ready(world: World) -> None:
    file = world.file("my_handler.py")
    lines = world.run("launch", "my_handler.py", "my_handler_v1").stdout.splitlines()
    match = re.fullmatch(r"✅ Handler launched: my_handler_v1 \(PID (\d+)\)", lines[0])
    assert match
    assert lines[1:] == [
        f"   Handler file: {file}",
        "   Status: running",
        "   Watching: (none - use 'nectar attach' to add aliases)",
        "   Logs: nectar logs my_handler_v1",
    ]
    record = world.registry()["my_handler_v1"]
    assert record["pid"] == int(match[1])
    assert record["status"] == record["desired"] == "running"
    assert record["attached_aliases"] == []
    assert record["handler"] == str(file)
    os.kill(int(match[1]), 0)


def test_a_package_under_its_own_name_attached_at_once(world: World) -> None:
    project = world.project()
    world.node("alice")
    world.node("bob")
    world.put("early", "four")
    shown = world.run("launch", project, "--attach", "alice", "--attach", "bob").stdout
    assert "✅ Handler launched: my-handler-pkg (PID " in shown
    assert "   Watching: alice, bob\n" in shown
    assert world.answer("early")["result"] == {"value": 8}
    world.put("late", "four", alias="bob", in_place=False)
    assert world.answer("late", alias="bob")["result"] == {"value": 8}


def test_what_is_on_disk_is_private(world: World) -> None:
    world.file("h.py")
    world.run("launch", "h.py", "--env", "KEY=secret")
    assert world.home.socket("h").stat().st_mode & 0o777 == 0o600
    assert world.home.variables("h").stat().st_mode & 0o777 == 0o600
    assert world.home.log("h").stat().st_mode & 0o777 == 0o600
    assert world.home.registry.stat().st_mode & 0o077 == 0
    assert "secret" not in world.home.registry.read_text()


def test_variables_reach_the_handler_now_and_after_a_start(world: World) -> None:
    world.file("h.py", "import os\nfrom nectar import handler\n@handler\ndef h(comp): return int(os.environ[comp.query])\n")
    world.file("more.env", '# two\nexport TWO="2"\nTHREE=3\n')
    world.node()
    world.run("launch", "h.py", "--env", "ONE=1", "--env-file", "more.env", "--attach", "alice")
    for query, value in (("ONE", "1"), ("TWO", "2"), ("THREE", "3")):
        assert world.run("submit", "alice", query).stdout == f"{value}\n"
    world.file("more.env", "TWO=22\n")
    world.run("stop", "h")
    world.run("start", "h")
    assert world.run("submit", "alice", "ONE").stdout == "1\n"
    assert world.run("submit", "alice", "TWO").stdout == "22\n"


def test_a_variable_that_only_the_shell_has_gets_a_hint(world: World) -> None:
    world.file("h.py", "import os\nfrom nectar import handler\nKEY = os.environ['API_KEY']\n@handler\ndef h(comp): return 1\n")
    ended = world.run("launch", "h.py", env={"API_KEY": "x"}, code=1)
    assert "--env API_KEY" in ended.stderr


def test_a_running_name_is_taken(world: World) -> None:
    world.file("h.py")
    world.run("launch", "h.py")
    before = world.registry()
    ended = world.run("launch", "h.py", code=4)
    assert "'h' is running" in ended.stderr
    assert "nectar stop h" in ended.stderr
    assert world.registry() == before


def test_a_stopped_name_is_launched_again_with_its_aliases(world: World) -> None:
    world.node("alice")
    world.node("bob")
    world.file("h.py")
    world.run("launch", "h.py", "--attach", "alice")
    world.run("stop", "h")
    shown = world.run("launch", "h.py", "--attach", "bob").stdout
    assert "   Watching: alice, bob\n" in shown
    assert world.registry()["h"]["attached_aliases"] == ["alice", "bob"]


def test_so_is_one_whose_daemon_was_killed(world: World) -> None:
    world.node()
    world.file("h.py")
    world.run("launch", "h.py", "--attach", "alice")
    os.kill(world.registry()["h"]["pid"], signal.SIGKILL)
    until(lambda: "dead     h" in world.run("view").stdout, "the end is seen")
    world.run("launch", "h.py")
    assert world.run("submit", "alice", "four").stdout == "8\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def analyze(comp): return 1\n", "@handler"),
        (
            "from nectar import handler\nraise RuntimeError('no model here')\n@handler\ndef analyze(comp): return 1\n",
            "RuntimeError: no model here",
        ),
        ("import os\nos._exit(3)\n", "3"),
    ],
)
def test_a_handler_that_cannot_be_loaded(world: World, text: str, words: str) -> None:
    """What is wrong with it is told as by ``test``, for which ``tests/mistakes`` has a table."""
    world.file("h.py", text)
    ended = world.run("launch", "h.py", code=None)
    assert ended.returncode in (1, 2, 5)
    assert words in ended.stderr
    assert ended.stdout == ""
    assert not world.home.registry.exists()
    locks = {world.home.start("h"), world.home.turn("h")}  # they say nothing but that somebody has the name now
    assert set(world.home.handlers.iterdir()) <= locks
    assert not list(world.home.logs.iterdir())


def test_a_traceback_has_only_the_authors_frames(world: World) -> None:
    file = world.file("h.py", "from nectar import handler\n\ndef deep():\n    return 1 / 0\n\ndeep()\n")
    errors = world.run("launch", "h.py", code=1).stderr
    assert f'File "{file}", line 6' in errors
    assert f'File "{file}", line 4, in deep' in errors
    assert "ZeroDivisionError" in errors
    assert "nectar/runtime" not in errors
    assert "importlib" not in errors


def test_a_handler_that_takes_for_ever_to_load(world: World) -> None:
    text = "# /// script\n# [tool.nectar]\n# start_timeout = 0.5\n# ///\nimport time\ntime.sleep(600)\nfrom nectar import handler\n"
    world.file("h.py", text)
    ended = world.run("launch", "h.py", code=None)
    assert ended.returncode in (1, 6)
    assert "0.5" in ended.stderr
    assert not world.home.registry.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.py"], 3, ["absent.py", "nectar new"]),
        (["absent_pkg"], 3, ["absent_pkg"]),
        (["empty"], 3, ["pyproject.toml", "nectar new"]),
        (["notes.txt"], 2, ["notes.txt"]),
        (["h.py", "../evil"], 2, ["'../evil'"]),
        (["h.py", "a" * 65], 2, ["1 to 64"]),
        (["h.py", "--attach", "nobody"], 3, ["'nobody'", "mkdir -p"]),
        (["h.py", "--attach", "nectar"], 2, ["'nectar'"]),
        (["h.py", "--env", "=x"], 2, ["K=V"]),
        (["h.py", "--env-file", "absent.env"], 3, ["absent.env"]),
        (["h.py", "--handler", "absent"], None, ["absent"]),
        (["h.py", "--workers", "0"], 2, ["--workers"]),
        (["h.py", "--concurrency", "1025"], 2, ["--concurrency"]),
        ([], 2, ["directory"]),
    ],
)
def test_a_launch_that_cannot_be(world: World, arguments: list[str], code: int | None, words: list[str]) -> None:
    world.file("h.py")
    world.file("notes.txt", "no handler\n")
    (world.directory / "empty").mkdir()
    ended = world.run("launch", *arguments, code=code)
    assert all(word in ended.stderr for word in words), ended.stderr
    assert ended.stdout == ""
    assert not world.home.registry.exists()


@pytest.mark.parametrize("missing", ["build-system", "entry-points"])
def test_a_project_that_lacks_something_is_told_which_lines(world: World, missing: str) -> None:
    project = world.project()
    file = project / "pyproject.toml"
    text = file.read_text()
    if missing == "build-system":
        file.write_text(re.sub(r"\[build-system\].*?\n\n", "", text, flags=re.DOTALL))
    else:
        file.write_text(re.sub(r"\[project.entry-points.*?\n\n", "", text, flags=re.DOTALL))
    ended = world.run("launch", project, code=5)
    assert missing in ended.stderr
    assert "\n       [" in ended.stderr
    assert "my_handler_pkg" in ended.stderr or missing == "build-system"


def test_an_alias_that_has_a_handler_is_told_before_anything_is_built(world: World) -> None:
    world.node()
    world.file("one.py")
    world.file("two.py", TWICE.replace("* 2", "* 222"))  # no other test has built it
    world.run("launch", "one.py", "--attach", "alice")
    built = set(world.home.envs.iterdir())
    ended = world.run("launch", "two.py", "--attach", "alice", code=4)
    assert "'one'" in ended.stderr
    assert "nectar detach one alice" in ended.stderr
    assert set(world.home.envs.iterdir()) == built
    assert list(world.registry()) == ["one"]


def test_of_many_at_once_under_one_name_one_is_launched(world: World) -> None:
    world.file("h.py")
    world.run("test", "h.py")
    launching = [world.fork("launch", "h.py") for _ in range(4)]
    codes = sorted(process.wait(120) for process in launching)
    assert codes == [0, 4, 4, 4]
    record = world.registry()["h"]
    assert record["status"] == "running"
    assert world.run("stop", "h").stdout == "✅ Handler stopped: h\n"


def test_many_names_at_once_are_all_recorded(world: World) -> None:
    world.file("h.py")
    world.run("test", "h.py")
    names = [f"h{number}" for number in range(5)]
    launching = [world.fork("launch", "h.py", name) for name in names]
    assert [process.wait(120) for process in launching] == [0] * 5
    assert sorted(world.registry()) == names


def test_an_interrupt_while_the_handler_loads_leaves_everything_as_it_was(world: World) -> None:
    world.node()
    world.file("h.py")
    world.run("launch", "h.py", "--attach", "alice")
    world.run("stop", "h")
    before = world.registry()
    world.file("h.py", "import pathlib, time\npathlib.Path(__file__).with_name('loading').touch()\ntime.sleep(600)\n")
    process = world.fork("launch", "h.py", "h")
    until((world.directory / "loading").exists, "the handler is being loaded")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert world.registry() == before


def test_a_killed_launch_leaves_no_process(world: World) -> None:
    world.file("h.py", "import pathlib, time\npathlib.Path(__file__).with_name('loading').touch()\ntime.sleep(600)\n")
    process = world.fork("launch", "h.py", "h")
    until((world.directory / "loading").exists, "the handler is being loaded")
    process.kill()
    process.wait(60)
    assert not world.home.registry.exists()  # and the fixture sees that nothing of it lives on


def test_a_broken_registry_is_not_overwritten(world: World) -> None:
    world.file("h.py")
    world.home.registry.write_text('{"h": ')
    ended = world.run("launch", "h.py", code=1)
    assert str(world.home.registry) in ended.stderr
    assert world.home.registry.read_text() == '{"h": '


def test_a_wheel_and_an_sdist(world: World) -> None:
    project = world.project()
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv if uv.exists() else "uv", "build", "--quiet", project], check=True)
    world.node("alice")
    world.node("bob")
    (wheel,) = (project / "dist").glob("*.whl")
    (sdist,) = (project / "dist").glob("*.tar.gz")
    world.run("launch", wheel, "wheel", "--attach", "alice")
    world.run("launch", sdist, "sdist", "--attach", "bob")
    assert world.run("submit", "alice", "four").stdout == "8\n"
    assert world.run("submit", "bob", "four").stdout == "8\n"


def test_so_does_one_that_is_ended_by_a_signal(world: World) -> None:
    world.file("h.py", "import pathlib, time\npathlib.Path(__file__).with_name('loading').touch()\ntime.sleep(600)\n")
    process = world.fork("launch", "h.py", "h")
    until((world.directory / "loading").exists, "the handler is being loaded")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not world.home.registry.exists()
