"""``nectar submit``: asking as a node would."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.manage import submit
from tests.words import Said
from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

QUERIES = """
    import json
    from nectar import handler

    @handler
    def h(comp):
        if comp.query == "raise":
            raise ValueError("I cannot")
        if comp.query == "metadata":
            return int(comp.metadata["value"])
        if comp.query == "sleep":
            import time
            time.sleep(60)
        if comp.query == "deadline":
            return int(comp.deadline)
        return eval(comp.query)
"""


@pytest.fixture
def answering(world: World) -> World:
    """A world in which a handler answers for alice."""
    world.file("h.py", QUERIES)
    world.node()
    world.run("launch", "h.py", "--attach", "alice")
    return world


@pytest.mark.uv
def test_the_answer_and_nothing_else(answering: World) -> None:
    assert answering.run("submit", "alice", "6 * 7").stdout == "42\n"
    assert answering.run("submit", "alice", "deadline", "--deadline", "77").stdout == "77\n"
    assert answering.run("submit", "alice", "metadata", "--metadata", "value=5", "--metadata", "k=a=b").stdout == "5\n"
    fields = answering.json("submit", "alice", "6 * 7")
    assert fields["status"] == "success"
    assert fields["result"] == {"value": 42}
    assert fields["error"] is None
    assert not [path for path in answering.node().iterdir() if path.name != ".nectar"]


@pytest.mark.uv
def test_an_answer_that_is_an_error(answering: World) -> None:
    for query, words in (("raise", "I cannot"), ("1.5", "float"), ("None", "None"), ("'7'", "str"), ("True", "bool")):
        ended = answering.run("submit", "alice", query, code=1)
        assert ended.stdout == ""
        assert words in ended.stderr
        fields = answering.json("submit", "alice", query, code=1)
        assert fields["status"] == "error"
        assert words in fields["error"]["message"]


@pytest.mark.uv
def test_what_is_no_question_gets_an_error_answer(answering: World) -> None:
    (answering.node() / "bad.pending").write_text("no json")
    answer = answering.answer("bad")
    assert answer["status"] == "error"
    assert "JSON" in answer["error"]


@pytest.mark.uv
@pytest.mark.once
def test_a_timeout_of_the_handler_is_told_as_such(answering: World) -> None:
    ended = answering.run("submit", "alice", "sleep", "--deadline", "1", code=1)
    assert ended.stderr == "❌ The handler ran out of time: the answer is a timeout: The handler did not answer within 1 s.\n"
    assert answering.json("submit", "alice", "sleep", "--deadline", "1", code=1)["error"]["kind"] == "timeout"


def test_nobody_answers(world: World) -> None:
    world.node()
    ended = world.run("submit", "alice", "q", "--deadline", "1", code=6)
    assert "1 seconds" in ended.stderr or "1 second" in ended.stderr
    assert "nectar view" in ended.stderr
    assert not list(world.node().iterdir())


def test_without_waiting(world: World) -> None:
    world.node()
    comp_id = world.run("submit", "alice", "q", "--no-wait").stdout.strip()
    question = json.loads((world.node() / f"{comp_id}.pending").read_text())
    assert question["query"] == "q"
    assert question["comp_id"] == comp_id
    assert question["proposer"] == "alice"
    assert set(world.json("submit", "alice", "q", "--no-wait")) == {"schema", "comp_id"}


def test_an_interrupt_as_soon_as_the_question_is_there_takes_it_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node, rename, told = world.node(), os.rename, list[str]()

    def interrupted(*given: Any, **where: Any) -> None:
        rename(*given, **where)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        submit.ask(world.home, "alice", "q", deadline=600, metadata={}, report=told.append)
    monkeypatch.undo()
    assert [text.split()[-3:] for text in told] == [["was", "taken", "back."]]
    assert not list(node.iterdir())


def test_a_node_that_is_not_there(world: World) -> None:
    ended = world.run("submit", "nobody", "q", code=3)
    assert f"mkdir -p {world.home.computations('nobody')}" in ended.stderr


def test_an_answer_that_cannot_be_read(world: World) -> None:
    world.node()
    process = Said(world, "submit", "alice", "q")
    until(lambda: list(world.node().glob("*.pending")), "the question is there")
    (pending,) = world.node().glob("*.pending")
    aside = pending.with_suffix(".aside")
    aside.write_text("no json")
    aside.rename(pending.with_suffix(".complete"))
    assert process.wait(60) == 1
    assert "cannot be read" in process.answer()


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
@pytest.mark.parametrize(("directory", "expected"), [(0o777, 0o600), (0o2775, 0o660)], ids=["plain", "setgid"])
def test_a_question_is_its_writer_s_and_the_handler_s(world: World, directory: int, mask: int, expected: int) -> None:
    world.node().chmod(directory)
    before = os.umask(mask)
    try:
        comp_id = world.run("submit", "alice", "q", "--no-wait").stdout.strip()
    finally:
        os.umask(before)
    assert stat.S_IMODE((world.node() / f"{comp_id}.pending").stat().st_mode) == expected


@pytest.mark.uv
def test_so_is_its_answer(answering: World) -> None:
    comp_id = answering.run("submit", "alice", "6 * 7", "--no-wait").stdout.strip()
    complete = answering.node() / f"{comp_id}.complete"
    until(complete.exists, "the answer is there")
    assert stat.S_IMODE(complete.stat().st_mode) == 0o600


def _stranger(path: Path) -> None:
    aside = path.with_suffix(".stranger")
    aside.write_bytes(ANSWER.replace(b"ID", path.stem.encode()))
    os.chown(aside, 12345, 12345)
    aside.rename(path)  # before, it would have been an answer


ANSWER = b'{"comp_id": "ID", "status": "success", "result": {"value": 666}, "error": null, "execution_time": null}'
IN_THE_WAY: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "not a regular file"),
    "a directory": (Path.mkdir, "not a regular file"),
    "a link": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "another user's": (_stranger, "it belongs to user 12345, and user 0 answers here"),
}


@pytest.mark.parametrize("kind", IN_THE_WAY)
def test_what_has_the_name_of_the_answer_and_is_none(world: World, kind: str) -> None:
    """It hangs nobody, is not read, and the answer may still come and replace it."""
    if kind == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can make what belongs to another user")
    put, reason = IN_THE_WAY[kind]
    node = world.node()
    (node / ".nectar").mkdir(mode=0o700)

    def in_the_way(deadline: int) -> tuple[Said, Path]:
        process = Said(world, "submit", "alice", "q", "--deadline", str(deadline))
        until(lambda: list(node.glob("*.pending")), "the question is there")
        (pending,) = node.glob("*.pending")
        pending.unlink()
        complete = pending.with_suffix(".complete")
        put(complete)
        return process, complete

    process, complete = in_the_way(2)
    assert process.wait(PATIENCE) == 6
    assert reason in process.answer()
    if kind == "a directory":
        complete.rmdir()
    process, complete = in_the_way(600)
    if kind == "a directory":
        complete.rmdir()
    aside = node / "aside"
    aside.write_bytes(ANSWER.replace(b"ID", complete.stem.encode()))
    aside.rename(complete)
    assert process.wait(PATIENCE) == 0
    assert process.printed == "666\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b" " * (1 << 20) + ANSWER, "larger than 65536 bytes"), (b"[" * 60_000, "not"), (b'{"a":' * 10_000, "not")],
    ids=["large", "list in list", "object in object"],
)
def test_an_answer_without_measure(world: World, content: bytes, reason: str) -> None:
    node = world.node()
    process = Said(world, "submit", "alice", "q")
    until(lambda: list(node.glob("*.pending")), "the question is there")
    (pending,) = node.glob("*.pending")
    (node / "aside").write_bytes(content)
    (node / "aside").rename(pending.with_suffix(".complete"))
    assert process.wait(PATIENCE) == 1
    said = process.answer()
    assert "The answer cannot be read" in said
    assert reason in said
