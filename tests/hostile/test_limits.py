"""``memory_limit``, ``recycle_after`` and what else can be set: beyond their bounds, and at them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.hostile.stage import EITHER_WAY, milliseconds
from tests.soak.ground import LATE
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

MIB = 1024 * 1024


CANNOT_BE: dict[str, list[object]] = {
    "memory_limit": [0, -1, 1024, 1.5, True, "", "lots", "512 MiBytes", "-1GiB", "1e9", "1 PiB", []],
    "recycle_after": [0, -1, 1.5, True, "3", 10**10],
    "start_timeout": [0, -1, True, "60"],
    "stop_timeout": [-1, "10"],
    "deadline": [0, -1, "30"],
    "workers": [0, 257, True],
    "max_question_bytes": [0, 1 << 40],
    "memory_limits": ["512MiB"],
}


@EITHER_WAY
@needs.memory
def test_a_run_with_too_much_memory(stage: Stage, row: Row) -> None:
    """Slowly or at once, touched or only asked for: an error that says so, and the next question is answered."""
    asker = stage.play(settings={"memory_limit": "96MiB"})
    rounds = portion(60, least=6)
    times: list[float] = []
    wrong: list[object] = []
    for number in range(rounds):
        query = (f"swallow_memory {160 * MIB}", f"swallow_memory {400 * MIB}", f"swallow_at_once {4096 * MIB}")[number % 3]
        answer = asker.ask(query)
        times.append(answer.published - stage.noted("swallow")[-1])
        if answer.status != "error" or "memory_limit is" not in answer.error:
            wrong.append(answer.fields)
        if asker.ask(f"number {number}").value != number:
            wrong.append(f"after {query}")
    usual, worst = milliseconds(times)
    row(
        "a run over memory_limit is an error that says so, quickly, and costs no other answer",
        runs=rounds,
        wrong=len(wrong),
        ms_from_before_it_takes_memory_to_answer=usual,
        worst=worst,
    )
    assert not wrong, wrong[:3]
    assert worst < 1000 * LATE
    stage.until_alone()


@needs.memory
def test_a_leak(stage: Stage, row: Row) -> None:
    """A worker that has grown is replaced between two questions."""
    asker = stage.play(settings={"memory_limit": "64MiB"})
    rounds = portion(1000)
    workers = Counter[int]()
    lost = []
    for _ in range(rounds):
        answer = asker.ask(f"leak {4 * MIB}")
        if answer.value is None:
            lost.append(answer.fields)
        else:
            workers[answer.value] += 1
    row(
        "a leak makes a new worker between two questions, and no question is lost",
        questions=rounds,
        lost=len(lost),
        workers=len(workers),
    )
    assert not lost, lost[:3]
    assert len(workers) > 1
    assert max(workers.values()) <= 16


@EITHER_WAY
@needs.memory
def test_a_handler_that_is_too_large_when_it_is_loaded(stage: Stage, row: Row) -> None:
    stage.write(
        text=f"kept = b'x' * {200 * MIB}\nfrom nectar import handler\n\n@handler\ndef large(comp):\n    return 1\n",
        settings={"memory_limit": "64MiB"},
    )
    ended = stage.world.run("launch", stage.file, code=1)
    row("a handler that is over memory_limit once it is loaded is told at launch", launches=1, processes_left=len(stage.left()))
    assert "too much memory while it was loaded (memory_limit is 64MiB)" in ended.stderr
    assert "Raise memory_limit" in ended.stderr
    until(lambda: not stage.left(), "no process is left", seconds=LATE)


@pytest.mark.parametrize(("after", "workers"), [(1, 1), (10, 2)])
def test_workers_that_are_replaced(stage: Stage, row: Row, after: int, workers: int) -> None:
    asker = stage.play(settings={"recycle_after": after, "workers": workers})
    rounds = portion(100 * after)
    seen = Counter[int]()
    lost = []
    for comp_id in [asker.put("loaded") for _ in range(rounds)]:
        answer = asker.take(comp_id)
        if answer.value is None:
            lost.append(answer.fields)
        else:
            seen[answer.value] += 1
    row(
        f"recycle_after = {after}, workers = {workers}: no worker answers more, none is lost",
        questions=rounds,
        lost=len(lost),
        workers=len(seen),
        most_answers_of_one=max(seen.values()),
    )
    assert not lost, lost[:3]
    assert max(seen.values()) <= after
    assert asker.ask("number 1").value == 1


def test_limits_that_cannot_be(stage: Stage, row: Row) -> None:
    values = [(key, value) for key, several in CANNOT_BE.items() for value in several]
    wrong = []
    chosen = values[:: max(1, len(values) // portion(len(values), least=8))]
    for key, value in chosen:
        stage.write(settings={key: value})
        ended = stage.world.run("launch", stage.file, "limited", code=None)
        if ended.returncode != 2 or repr(key) not in ended.stderr or "Traceback" in ended.stderr:
            wrong.append((key, value, ended.returncode, ended.stderr))
    row(
        "a limit that cannot be is refused with exit 2, by name",
        values=len(chosen),
        wrong=len(wrong),
        processes_left=len(stage.left()),
    )
    assert not wrong, wrong
    assert not stage.left()


def test_limits_at_their_bound(stage: Stage, row: Row) -> None:
    """The smallest that can be set, together."""
    least = {
        "recycle_after": 1,
        "memory_limit": "1024TiB",
        "workers": 1,
        "start_timeout": 86400,
        "stop_timeout": 0,
        "max_question_bytes": 1024,
    }
    asker = stage.play(settings=least)
    rounds = portion(50)
    wrong = [number for number in range(rounds) if asker.ask(f"number {number}").value != number]
    too_large = asker.ask("x" * 2000)
    row("limits at their bound work", values=len(least), questions=rounds, wrong=len(wrong))
    assert not wrong
    assert "larger than 1024 bytes" in too_large.error
