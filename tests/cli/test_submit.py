"""``nectar submit``: asking as a node would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.world import until

if TYPE_CHECKING:
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
@pytest.mark.parametrize(
    ("query", "words"),
    [("raise", "I cannot"), ("1.5", "float"), ("None", "None"), ("'7'", "str"), ("True", "bool")],
)
def test_an_answer_that_is_an_error(answering: World, query: str, words: str) -> None:
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


def test_a_node_that_is_not_there(world: World) -> None:
    ended = world.run("submit", "nobody", "q", code=3)
    assert f"mkdir -p {world.home.computations('nobody')}" in ended.stderr


def test_an_answer_that_cannot_be_read(world: World) -> None:
    world.node()
    process = world.begin("submit", "alice", "q")
    until(lambda: list(world.node().glob("*.pending")), "the question is there")
    (pending,) = world.node().glob("*.pending")
    aside = pending.with_suffix(".aside")
    aside.write_text("no json")
    aside.rename(pending.with_suffix(".complete"))
    assert process.wait(60) == 1
    assert "cannot be read" in process.communicate()[1]
