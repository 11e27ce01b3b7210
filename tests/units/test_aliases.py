"""The aliases of one handler: whose turn it is, and which there are, second by second."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes


# --- turns


def test_aliases_take_turns_however_many_questions_each_has(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three")
    nodes.put("one", "a", "b", "c", "d")
    nodes.put("two", "a")
    nodes.put("three", "a", "b")
    nodes.begin()
    assert nodes.aliases.waiting == 7
    assert nodes.take_all() == ["one/a", "two/a", "three/a", "one/b", "three/b", "one/c", "one/d"]
    assert nodes.aliases.waiting == 0


def test_who_had_the_last_turn_comes_last_and_so_does_who_is_new(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.begin()
    for alias in ("one", "two"):
        nodes.put(alias, "a", "b", "c")
        for comp_id in "abc":
            nodes.hint(alias, comp_id)
    nodes.go(0)
    assert nodes.take_all(1) == ["one/a"]
    nodes.home.computations("three").mkdir(parents=True)
    nodes.put("three", "a", "b", "c")
    nodes.attach("three", "one", "two")
    nodes.sync()
    nodes.go(0)
    assert nodes.take_all() == ["two/a", "one/b", "three/a", "two/b", "one/c", "three/b", "two/c", "three/c"]


@pytest.mark.parametrize(
    ("workers", "aliases", "most"),
    [(1, 1, 1), (1, 2, 1), (2, 1, 2), (2, 2, 1), (2, 3, 1), (3, 1, 3), (3, 2, 2), (8, 1, 8), (8, 2, 7), (8, 9, 7)],
)
def test_of_several_workers_one_is_kept_for_other_aliases(make_nodes: MakeNodes, workers: int, aliases: int, most: int) -> None:
    nodes = make_nodes(*(f"n{number}" for number in range(aliases)), workers=workers)
    nodes.put("n0", *map(str, range(10)))
    nodes.begin()
    running: Counter[str] = Counter()
    while nodes.take(running) is not None:
        running["n0"] += 1
        if running["n0"] == workers:  # nobody asks for more
            break
    assert running["n0"] == most


def test_the_worker_that_is_kept_is_for_each_other_alias(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three", workers=3)
    nodes.put("one", "a", "b", "c")
    nodes.begin()
    assert nodes.take({"one": 2}) is None
    nodes.put("three", "x")
    nodes.hint("three", "x")
    nodes.go(0)
    taken = nodes.take({"one": 2})
    assert taken is not None
    assert taken.name == "three/x"
    again = nodes.take({"one": 1, "three": 1})
    assert again is not None
    assert again.name == "one/a"


def test_an_alias_that_is_being_let_go_of_keeps_no_worker_from_the_others(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", workers=2)
    nodes.put("two", "a")
    nodes.put("one", "a", "b")
    nodes.begin()
    nodes.take({"one": 1})
    nodes.attach("one")
    nodes.sync()
    nodes.go(0)
    taken = nodes.take({"one": 1, "two": 1})
    assert taken is not None
    assert taken.name == "one/a"


# --- which there are


def test_it_is_as_the_registry_says_within_a_second(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three")
    nodes.attach("one")
    nodes.begin()
    assert nodes.attached == ["one"]
    nodes.go(0.5)
    nodes.attach("three", "two")
    nodes.go(0.4)
    assert nodes.attached == ["one"]
    nodes.go(0.1)
    assert nodes.attached == ["three", "two"]
    assert nodes.said.lines == ["one: attached", "one: detached", "three: attached", "two: attached"]


def test_a_request_has_it_looked_at_at_once(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.attach("one")
    nodes.begin().go(0.5)
    nodes.attach("two")
    nodes.sync()
    assert nodes.replies == [(0.5, {"attached": ["two"], "problems": {}})]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"other": {"attached_aliases": []}}',
        '{"h": {}}',
        '{"h": {"attached_aliases": null}}',
        '{"h": {"attached_aliases": 7}}',
        '{"h": {"attached_aliases": ["one", ".."]}}',
        "[" * 100_000,
    ],
)
def test_a_registry_that_says_nothing_changes_nothing_and_is_read_again(make_nodes: MakeNodes, text: str) -> None:
    nodes = make_nodes("one", "two")
    nodes.begin()
    nodes.register(text)
    nodes.go(2)
    nodes.sync()
    assert [reply["attached"] for _, reply in nodes.replies] == [["one", "two"]]
    nodes.home.registry.unlink()
    nodes.go(2)
    assert nodes.attached == ["one", "two"]
    nodes.attach("two")
    nodes.go(1)
    assert nodes.attached == ["two"]
    assert nodes.said.lines[-1] == "one: detached"
    assert nodes.faults == []


def test_a_registry_that_could_not_be_read_is_read_again_though_its_time_is_the_same(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.begin()
    nodes.register("")
    nodes.go(1)
    write_in_place(nodes, "one")
    nodes.go(1)
    assert nodes.attached == ["one"]


def write_in_place(nodes: Nodes, *names: str) -> None:
    """Change the registry, and put its time back."""
    before = nodes.home.registry.stat()
    with nodes.home.registry.open("r+b") as file:
        file.write(json.dumps({"h": {"attached_aliases": names}}).encode())
    os.utime(nodes.home.registry, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_is_no_name_in_the_registry_is_left_out(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.register(json.dumps({"h": {"attached_aliases": [7, None, "one", ["one"]]}}))
    nodes.begin()
    assert nodes.attached == ["one"]


def test_the_registry_is_read_only_when_it_has_changed(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.attach("one")
    nodes.begin()
    write_in_place(nodes, "two")
    nodes.go(5)
    assert nodes.attached == ["one"]
    os.utime(nodes.home.registry)
    nodes.go(1)
    assert nodes.attached == ["two"]


def test_one_that_is_not_there_yet_is_a_problem_until_it_is(make_nodes: MakeNodes) -> None:
    nodes = make_nodes()
    nodes.attach("late")
    nodes.begin()
    path = nodes.home.computations("late")
    problem = f"{path}: No such file or directory"
    assert nodes.aliases.attachments() == {"attached": [], "problems": {"late": problem}}
    nodes.go(10)
    path.mkdir(parents=True)
    nodes.go(1)
    assert nodes.aliases.attachments() == {"attached": ["late"], "problems": {}}
    assert nodes.faults == []
    assert nodes.said.lines == [
        f"late: it cannot be served: {problem}",
        f"late: attached; it cannot be served yet: {problem}",
    ]


def test_two_names_of_one_directory_are_told_as_that(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.home.computations("two").parent.mkdir(parents=True)
    nodes.home.computations("two").symlink_to(nodes.home.computations("one"))
    nodes.attach("one", "two")
    nodes.begin()
    assert nodes.aliases.attachments() == {
        "attached": ["one"],
        "problems": {"two": "one and two are the same directory, which is answered for as one"},
    }
    nodes.attach("two")
    nodes.go(2)
    assert nodes.attached == ["two"]


# --- what is told


def test_that_events_tell_is_said_only_where_they_do_at_each(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.begin()
    assert nodes.aliases.hear
    nodes.hints.lives = False
    assert not nodes.aliases.hear
    nodes.go(1)  # they are watched anew
    assert nodes.aliases.hear


def test_strays_are_what_is_claimed_and_neither_runs_nor_waits(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.put("one", "a", "b")
    nodes.put("two", "a")
    nodes.begin()
    first, second = nodes.take(), nodes.take()
    assert first is not None
    assert second is not None
    claims = {first.question.claim, second.question.claim}
    assert [*nodes.aliases.strays(claims)] == []
    assert [claim for _, claim in nodes.aliases.strays({first.question.claim})] == [second.question.claim]
    ((alias, claim),) = nodes.aliases.strays({first.question.claim})
    alias.requeue(claim)
    assert [*nodes.aliases.strays({first.question.claim})] == []
    again = [nodes.take(), nodes.take()]
    assert [taken.name for taken in again if taken is not None] == ["one/b", "two/a"]
    assert again[1] is not None
    assert again[1].question.claim == second.question.claim


def test_one_who_cannot_be_told_keeps_no_other_from_hearing(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    faults: list[Exception] = []
    nodes.loop.faulted = faults.append
    nodes.put("one", "a")
    nodes.begin()

    def gone(_reply: object) -> None:
        raise MemoryError

    assert nodes.take() is not None
    nodes.attach()
    nodes.aliases.sync(gone)
    nodes.sync()
    nodes.go(20)
    assert [reply for _, reply in nodes.replies] == [{"attached": [], "problems": {}}]
    assert [type(fault) for fault in faults] == [MemoryError], "once"
