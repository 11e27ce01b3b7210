"""What becomes of a verb whose reader goes away, whose output is full or closed, and which is interrupted early."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

NAMES = ("a", "b", "c")
CODES = {
    ("view",): 0,
    ("view", "--json"): 0,
    ("view", "a"): 0,
    ("logs", "a", "--no-follow"): 0,
    ("remove", "a", "b", "c"): 0,
    ("stop", "nobody"): 3,
    ("start", "nobody"): 3,
    ("restart", "nobody"): 3,
    ("attach", "nobody", "alice"): 3,
    ("detach", "nobody", "alice"): 3,
    ("exec", "nobody", "--", "true"): 3,
    ("submit", "alice", "q", "--no-wait"): 0,
    ("submit", "nobody", "q"): 3,
    ("test", "nothing.py"): 3,
    ("launch", "nothing.py"): 3,
    ("gc",): 0,
    ("doctor",): 0,
    ("--help",): 0,
    ("--version",): 0,
    ("lanch",): 2,
}
"""Command lines, and what they end with whoever reads what they say."""


@pytest.fixture
def three(fresh: World) -> World:
    """A world with three stopped handlers."""
    fresh.home.create()
    fresh.home.registry.write_text(json.dumps({name: {"status": "stopped"} for name in NAMES}))
    fresh.home.log("a").write_text("one\ntwo\n")
    fresh.node()
    return fresh


def broken() -> int:
    """The end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def acted(world: World, arguments: tuple[str, ...]) -> bool:
    """Whether a command has done what it was told to, whatever became of its words."""
    if arguments[0] == "remove":
        return set(world.registry()) == {*NAMES} - {*arguments}
    return arguments[:2] != ("submit", "alice") or len(list(world.node().iterdir())) == 1


@pytest.mark.once
@pytest.mark.parametrize("arguments", CODES, ids=" ".join)
def test_a_reader_that_goes_away_ends_no_verb(three: World, arguments: tuple[str, ...]) -> None:
    """``stop a b c | true`` stopped ``a`` alone."""
    writing = broken()
    assert three.fork(*arguments, stdout=writing, stderr=writing).wait(60) == CODES[arguments]
    os.close(writing)
    assert acted(three, arguments)


@pytest.mark.once
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("arguments", CODES, ids=" ".join)
def test_what_cannot_be_written_is_told_when_all_is_done(three: World, arguments: tuple[str, ...]) -> None:
    writing = full()
    code = CODES[arguments]
    with tempfile.TemporaryFile() as said:
        assert three.fork(*arguments, stdout=writing, stderr=said.fileno()).wait(60) == (code or 1)
        said.seek(0)
        errors = said.read().decode()
    os.close(writing)
    assert acted(three, arguments)
    assert ("No space left on device" in errors) is (code == 0)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


FORKING = """
import json, os, sys

from nectar.cli import main

codes = []
for arguments in json.loads(sys.argv[1]):
    if (command := os.fork()) == 0:
        sys.argv[1:] = arguments
        main()
    codes.append(os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]))
with open("codes", "w") as file:
    json.dump(codes, file)
"""


@pytest.mark.once
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_descriptors_are_nothing_that_a_verb_sees(three: World, closed: tuple[int, ...]) -> None:
    """Nothing that it opens gets the number of one: what it prints would go into the registry.

    All verbs are forked from an interpreter that was started without them, and has imported nothing but where a command begins.
    """
    verbs = [("view",), ("stop", "nobody"), ("test", "nothing.py"), ("--help",), ("remove", "a", "b", "c")]
    shell = " ".join(("exec", '"$@"', *(f"{number}>&-" for number in closed)))
    commands = json.dumps([three.command(*arguments)[3:] for arguments in verbs])
    ended = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-c", FORKING, commands],
        cwd=three.directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads((three.directory / "codes").read_bytes()) == [CODES[arguments] for arguments in verbs]
    assert acted(three, verbs[-1])
    assert "Error" not in ended.stderr


def test_a_pipe_that_does_not_block_gets_all(three: World) -> None:
    many = {f"h{number}": {"status": "stopped", "handler": "x" * 1000} for number in range(500)}
    three.home.registry.write_text(json.dumps(many))
    reading, writing = os.pipe()
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    process = three.begin("view", "--json", stdout=writing)
    os.close(writing)
    with open(reading, "rb") as stream:
        found = json.loads(stream.read())
    assert process.wait(60) == 0
    assert len(found["handlers"]) == 500


@pytest.mark.skipif(not hasattr(os, "pipe2"), reason="here no pipe keeps apart what is written")
def test_commands_that_share_their_output_mix_no_line(three: World) -> None:
    """Each line is written at once."""
    reading, writing = os.pipe2(os.O_DIRECT)
    with open(writing, "wb") as shared:
        process = three.begin("view", "--brief", stdout=shared, stderr=shared)
    pieces = []
    while piece := os.read(reading, 1 << 16):
        pieces.append(piece)
    os.close(reading)
    assert process.wait(60) == 0
    assert len(pieces) >= len(NAMES)
    assert [piece for piece in pieces if not piece.endswith(b"\n")] == []


def test_a_question_from_a_pipe_that_does_not_block(three: World) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    process = three.begin("test", "nothing.py", "--computation", "-", stdin=reading)
    os.close(reading)
    with open(writing, "wb") as stream:
        stream.write(b"{ no")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no computation" in errors


def test_following_a_log_ends_with_its_reader(three: World) -> None:
    """Also where nothing more is written into it."""
    process = three.begin("logs", "a")
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    process.stdout.close()
    assert process.wait(60) == 0


@pytest.mark.once
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_no_encoding_has(three: World, encoding: str) -> None:
    three.home.registry.write_text(json.dumps({"a": {"handler": "/ä/🐝/\udc80"}}))
    for arguments in (("view",), ("view", "--json")):
        three.run(*arguments, env={"PYTHONIOENCODING": encoding, "LC_ALL": "C"}, encoding=encoding)


MOMENTS = (6, 8, 10, 15, 20, 30, 40, 60, 80, 100, 120)
INTERRUPTED = """
import os, signal, sys

number, moments, data_dir = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for meet in map(int, moments.split()):
    if (command := os.fork()) == 0:
        def tell(event, _arguments, state=[0]):
            state[0] += event == "import"
            if state[0] == meet:
                state[0] += 1
                os.kill(os.getpid(), number)
        os.dup2(os.open(f"said-{meet}", os.O_WRONLY | os.O_CREAT), 2)
        sys.argv[1:] = ["--data-dir", data_dir, "view"]
        sys.addaudithook(tell)
        from nectar.cli import main
        main()
    print(meet, os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]), flush=True)
"""


@pytest.mark.once
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_interrupt_in_the_first_moments_says_nothing(three: World, number: signal.Signals) -> None:
    """At each so many of its imports in turn, in a command that is forked from an interpreter which has imported nothing of it."""
    given = [str(int(number)), " ".join(map(str, MOMENTS)), str(three.home.data_dir)]
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *given], cwd=three.directory, capture_output=True, text=True, check=True, timeout=60
    )
    codes = dict(line.split() for line in ended.stdout.splitlines())
    said = {meet: (int(codes[str(meet)]), (three.directory / f"said-{meet}").read_text()) for meet in MOMENTS}
    assert {meet: what for meet, what in said.items() if what[0] not in (128 + number, -number) or what[1]} == {}


@pytest.mark.once
def test_an_interrupt_at_the_very_end_says_nothing(three: World) -> None:
    stub = three.file(
        "stub.py",
        """
        import os, signal
        from nectar.cli import main
        end = os._exit
        def interrupted(code):
            os._exit = end
            os.kill(os.getpid(), signal.SIGINT)
            end(code)
        os._exit = interrupted
        main()
        """,
    )
    command = [sys.executable, str(stub), "--data-dir", str(three.home.data_dir), "gc"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (130, "")
    assert "0 removed" in ended.stdout


@pytest.mark.uv
def test_stop_and_restart_whose_reader_goes_away(world: World) -> None:
    source = world.file("twice.py")
    for name in NAMES:
        world.run("launch", source, name)
    began = {name: world.registry()[name]["pid"] for name in NAMES}
    for arguments in (["restart", "a", "b"], ["stop", "a", "b", "c"]):
        writing = broken()
        process = world.begin(*arguments, stdout=writing, stderr=writing)
        os.close(writing)
        assert process.wait(120) == 0
        if arguments[0] == "restart":
            now = {name: world.registry()[name]["pid"] for name in NAMES}
            assert [name for name in NAMES if now[name] != began[name]] == ["a", "b"]
    assert {record["status"] for record in world.registry().values()} == {"stopped"}
