"""The aliases of one handler: whose turn it is, how long one that fails is left alone, and how one is let go of, second by second."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.daemon.aliases.aliases import ENDING, LONGEST, REMEMBERED, SOON
from tests.units.machines import near

if TYPE_CHECKING:
    from tests.units.conftest import MakeNodes
    from tests.units.nodes import Nodes


LATE = SOON + 1e-6
"""Seconds that it may take to notice."""


def opened(nodes: Nodes, alias: str) -> list[float]:
    """Seconds at which it was tried to open an alias."""
    return [second for each, second in nodes.watched if each == alias]


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


# --- what fails


def test_one_that_fails_each_time_waits_twice_as_long_each_time_and_then_a_minute_for_ever(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.broken.add("one")
    nodes.begin().go(1000)
    seconds = opened(nodes, "one")
    waits = [after - before for before, after in itertools.pairwise(seconds)]
    assert LONGEST == 60
    assert waits[:8] == [0, 1, 2, 4, 8, 16, 32, 60]
    assert set(waits[8:]) == {60.0}
    assert len(waits) == 7 + (1000 - 63) // 60
    assert len(nodes.faults) == len(seconds)
    assert opened(nodes, "two") == [0]
    assert nodes.attached == ["two"]
    problem = nodes.aliases.status()["one"]["problem"]
    assert problem == "nectar failed at it, which the log tells; it is tried again within 60 s"


def test_a_failure_for_many_hours_ends_in_no_failure_of_ours(make_nodes: MakeNodes) -> None:
    """Numbers that double each time get too large for a float."""
    nodes = make_nodes("one")
    nodes.broken.add("one")
    nodes.begin().go(63)
    for _ in range(1100):
        nodes.machine.now += 60
        nodes.aliases.tick()
    assert len(opened(nodes, "one")) == len(nodes.faults) == 8 + 1100
    assert {type(fault) for fault in nodes.faults} == {MemoryError}


@pytest.mark.parametrize(("served", "wait"), [(1, 60), (119, 60), (120, 60), (121, 0), (1000, 0)])
def test_how_often_it_failed_is_forgotten_once_it_was_served_well_for_two_minutes(
    make_nodes: MakeNodes, served: int, wait: int
) -> None:
    nodes = make_nodes("one")
    nodes.broken.add("one")
    nodes.begin().go(122.5)
    nodes.broken.clear()
    assert nodes.attached == []
    nodes.go(1)
    assert REMEMBERED == 120
    assert opened(nodes, "one")[-1] == 123
    assert nodes.attached == ["one"]
    nodes.go(served - 0.5)
    nodes.broken.add("one")
    fail(nodes, "one")
    nodes.broken.clear()
    nodes.go(70)
    assert opened(nodes, "one")[-1] == 123 + served + wait


def fail(nodes: Nodes, name: str) -> None:
    """Have something fail at an alias that is served, at once."""
    with nodes.aliases.mending(nodes.aliases._attached[name]):
        raise MemoryError


@pytest.mark.parametrize(
    ("between", "waits"),
    [
        (10, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]),  # eight of them within 120 s of service
        (25, [0, 1, 2, 4, 8, 8, 8, 8, 8, 8]),  # five
        (119, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (121, [0] * 10),
    ],
)
def test_one_that_fails_now_and_then_waits_by_how_often_it_did_while_it_was_served(
    make_nodes: MakeNodes, between: float, waits: list[float]
) -> None:
    nodes = make_nodes("one")
    nodes.begin()
    waited = []
    for _ in range(10):
        nodes.go(between)
        fail(nodes, "one")
        failed = nodes.machine.seconds
        nodes.go(0)
        while not nodes.attached:
            nodes.go(1)
        waited.append(opened(nodes, "one")[-1] - failed)
    assert waited == waits


def test_what_fails_of_one_that_is_being_opened_anew_fails_once(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a")
    nodes.begin()
    old = nodes.aliases._attached["one"]
    fail(nodes, "one")
    with nodes.aliases.mending(old):
        raise MemoryError
    nodes.go(0)
    assert nodes.attached == ["one"]
    with nodes.aliases.mending(old):
        raise MemoryError
    nodes.go(0)
    assert opened(nodes, "one") == [0, 0]
    assert nodes.take_all() == ["one/a"]


@pytest.mark.parametrize("what", ["next", "pause"])
def test_one_that_cannot_even_be_asked_or_paused_costs_no_other_anything(make_nodes: MakeNodes, what: str) -> None:
    nodes = make_nodes("one", "two", stop_timeout=0)
    nodes.put("two", "a")
    nodes.begin()
    setattr(nodes.aliases._attached["one"], what, None)
    nodes.attach("two")
    assert nodes.take_all() == ["two/a"]
    nodes.sync()
    nodes.go(1)
    assert nodes.attached == ["two"]
    assert {type(fault) for fault in nodes.faults} == {TypeError}


@pytest.mark.parametrize(("fails", "claimed"), [(False, False), (True, False), (True, True)])
def test_what_was_there_before_is_as_old_as_its_file_and_what_is_found_after_a_failure_may_have_come_since(
    make_nodes: MakeNodes, fails: bool, claimed: bool
) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a", deadline=30)
    age_by(nodes, "one", "a", 40)
    nodes.begin()
    if claimed:
        assert nodes.take() is not None
    if fails:
        fail(nodes, "one")
        nodes.go(0)
    taken = nodes.take()
    assert taken is not None
    assert taken.question.late is not fails


def age_by(nodes: Nodes, alias: str, comp_id: str, seconds: float) -> None:
    """Have a question be so many seconds old by the clock."""
    written = nodes.wall() - seconds
    os.utime(nodes.home.computations(alias) / f"{comp_id}.pending", (written, written))


@pytest.mark.parametrize(("jump", "seconds", "late"), [(0, 28, False), (0, 32, True), (3600, 28, False), (3600, 5, False)])
def test_a_clock_that_is_set_forward_makes_no_question_late(make_nodes: MakeNodes, jump: float, seconds: float, late: bool) -> None:
    nodes = make_nodes("one")
    nodes.attach()
    nodes.begin().go(200)
    nodes.put("one", "a", deadline=30)
    age_by(nodes, "one", "a", seconds)
    nodes.ahead += jump
    nodes.attach("one")
    nodes.go(1)
    taken = nodes.take()
    assert taken is not None
    assert taken.question.late is late


def test_what_goes_wrong_with_one_costs_no_other_anything(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three")
    nodes.begin()
    nodes.broken.add("two")
    fail(nodes, "two")
    for alias in ("one", "three"):
        nodes.put(alias, "a")
        nodes.hint(alias, "a")
    nodes.go(0)
    assert nodes.take_all() == ["one/a", "three/a"]
    assert opened(nodes, "one") == opened(nodes, "three") == [0]
    assert nodes.attached == ["one", "three"]
    assert nodes.replies == []


def test_what_was_claimed_when_it_failed_is_run_again_as_the_same_try(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    fail(nodes, "one")
    nodes.go(0)
    again = nodes.take()
    assert again is not None
    assert (again.comp_id, again.question.claim.attempt) == ("a", 1)
    again.answer()
    assert nodes.answered("one") == {"a"}
    assert nodes.counts == {"success": 1}


@pytest.mark.parametrize("ends", [0.0, 0.3, 1.9, 10.0])
def test_one_that_failed_is_opened_again_when_what_ran_for_it_has_ended_or_after_two_seconds(
    make_nodes: MakeNodes, ends: float
) -> None:
    nodes = make_nodes("one")
    nodes.put("one", "a")
    nodes.begin()
    assert nodes.take() is not None
    nodes.runs.add("one")
    fail(nodes, "one")
    nodes.loop.later(ends, nodes.runs.clear)
    nodes.go(5)
    assert nodes.interrupts[0] == ("one", 0)
    assert ENDING == 2.0
    assert opened(nodes, "one") == [0, near(min(ends, 2.0), within=LATE)]


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
    assert nodes.said.lines == ["attached to one", "detached from one", "attached to three", "attached to two"]


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
    assert nodes.said.lines[-1] == "detached from one"
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
        f"attached to late, which cannot be served yet: {problem}",
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


# --- letting go


@pytest.mark.parametrize("after", [0.0, 0.2, 1.0, 3.99])
def test_one_that_is_detached_is_let_go_of_when_it_has_been_answered(make_nodes: MakeNodes, after: float) -> None:
    nodes = make_nodes("one", "two", stop_timeout=4)
    nodes.put("one", "a")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    nodes.attach("two")
    nodes.sync()

    def answer() -> None:
        assert taken.answer()

    nodes.loop.later(after, answer)
    nodes.go(10)
    assert SOON == 0.05
    ((second, reply),) = nodes.replies
    assert after <= second <= after + LATE
    assert reply == {"attached": ["two"], "problems": {}}
    assert nodes.interrupts == [("one", second)]
    assert nodes.answered("one") == {"a"}
    assert taken.closed
    assert not taken.answer(), "it is let go of"


@pytest.mark.parametrize("timeout", [0, 0.5, 4])
@pytest.mark.parametrize("ends", [0.0, 0.4, 1.9, 10.0])
def test_what_takes_longer_than_it_has_is_interrupted_and_has_two_seconds_to_end(
    make_nodes: MakeNodes, timeout: float, ends: float
) -> None:
    nodes = make_nodes("one", stop_timeout=timeout)
    nodes.put("one", "a")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    nodes.runs.add("one")
    nodes.loop.later(timeout + ends, nodes.runs.clear)
    nodes.attach()
    nodes.sync()
    nodes.go(20)
    assert nodes.interrupts[0] == ("one", near(timeout, within=LATE))
    ((second, _),) = nodes.replies
    assert second == near(timeout + min(ends, ENDING), within=LATE)
    assert second >= min(timeout + ends, timeout + ENDING) - 1e-6
    assert nodes.claimed("one") == {"a", "released"}, "for the next daemon, as the same try"


def test_however_often_it_is_asked_it_looks_twenty_times_a_second_whether_one_has_been_answered(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", stop_timeout=0)
    nodes.begin()
    nodes.runs.add("one")
    nodes.attach()
    for _ in range(5):
        nodes.sync()
    before = len(nodes.interrupts)
    nodes.go(0.99)
    assert len(nodes.interrupts) - before == 19
    nodes.runs.clear()
    nodes.go(0.05)
    assert len(nodes.replies) == 5


def test_of_what_is_being_let_go_of_nothing_is_claimed_any_more(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", stop_timeout=4)
    nodes.put("one", "a", "b")
    nodes.begin()
    assert nodes.take() is not None
    nodes.attach("two")
    nodes.sync()
    nodes.hint("two", "nothing")
    nodes.go(3)
    assert nodes.take_all() == []
    assert nodes.aliases.status() == {"two": {"problem": None, "waiting": 0}}


def test_one_that_comes_back_is_served_again_when_it_was_let_go_of(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", stop_timeout=4)
    nodes.put("one", "a", "b")
    nodes.begin()
    taken = nodes.take()
    assert taken is not None
    nodes.attach("two")
    nodes.sync()
    nodes.go(0.5)
    nodes.attach("two", "one")
    nodes.sync()
    nodes.go(0.5)
    assert nodes.attached == ["two"]
    assert nodes.replies == []
    taken.answer()
    nodes.go(0.1)
    assert nodes.attached == ["two", "one"]
    assert [(second, reply["attached"]) for second, reply in nodes.replies] == [(near(1, within=0.1), ["two", "one"])] * 2
    assert nodes.take_all() == ["one/b"]


def test_to_be_detached_ends_the_waits_of_one_that_failed(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one")
    nodes.broken.add("one")
    nodes.begin().go(40)
    nodes.broken.clear()
    nodes.attach()
    nodes.sync()
    nodes.attach("one")
    nodes.sync()
    assert nodes.attached == ["one"]
    assert opened(nodes, "one")[-1] == 40


def test_who_pauses_claims_nothing_and_heeds_the_registry_no_more(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two")
    nodes.put("one", "a")
    nodes.put("two", "a", "b")
    nodes.begin()
    assert nodes.take_all(1) == ["one/a"]
    nodes.aliases.pause()
    nodes.attach("one")
    nodes.go(3)
    assert nodes.take_all() == []
    assert nodes.attached == ["one", "two"]
    assert nodes.aliases.waiting == 0
    assert nodes.claimed("two") == set()


def test_all_are_closed_also_those_that_are_being_let_go_of_and_one_that_fails_at_it(make_nodes: MakeNodes) -> None:
    nodes = make_nodes("one", "two", "three", stop_timeout=60)
    for alias in ("one", "two", "three"):
        nodes.put(alias, "a")
    nodes.begin()
    taken = [nodes.take() for _ in range(3)]
    nodes.attach("two", "three")
    nodes.sync()
    nodes.go(1)
    nodes.aliases._attached["two"].pause = None  # type: ignore[assignment,method-assign]
    nodes.aliases.close()
    assert [each.closed for each in taken if each is not None] == [True] * 3
    assert [type(fault) for fault in nodes.faults] == [TypeError]


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
