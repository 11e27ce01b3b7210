"""A run that does not end is ended, whatever it does against it, and so is all that it started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests import needs
from tests.hostile.stage import EITHER_WAY, milliseconds
from tests.soak.ground import LATE
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

DEADLINE = 0.5
WAYS = (
    "spin",
    "native",
    "stubborn",
    "stopped",
    "with_children",
    "with_nameless_children",
    "with_forks",
    "with_channel_held",
    "forking_on",
    "in_another_group",
    "in_thread",
    "in_flush",
    "in_index",
    "in_error",
    "no_death_signal",
    "full_pipe",
)


@EITHER_WAY
def test_a_hang_ends(stage: Stage, row: Row) -> None:
    asker = stage.play()
    daemon = stage.daemon
    ways = needs.one_side(WAYS, walled=stage.walled)
    rounds = portion(10 * len(ways), least=len(ways))
    wrong, late, strays = [], [], 0
    for number in range(rounds):
        query = ways[number % len(ways)]
        asker.ask("mark")
        answer = asker.ask(query, deadline=DEADLINE)
        late.append(answer.published - stage.noted("mark")[-1] - DEADLINE)
        if answer.status != "timeout" or f"within {DEADLINE:g} s" not in answer.error or answer.value is not None:
            wrong.append(f"{query}: {answer.fields}")
        if asker.ask("number 7").value != 7:
            wrong.append(f"after {query}")
        try:
            until(lambda: not stage.strays(), f"nothing is left of {query}", seconds=LATE)
        except AssertionError as error:
            strays += len(stage.strays())
            wrong.append(str(error))
    usual, worst = milliseconds(late)
    row(
        "code that hangs, whatever it does against it, is a timeout within 1.5 s after its deadline, and no process is left",
        hangs=rounds,
        ways=len(ways),
        wrong=len(wrong),
        ms_from_deadline_to_answer=usual,
        worst=worst,
        processes_left=strays,
    )
    assert not wrong, "\n".join(map(str, wrong))
    assert stage.daemon == daemon
    assert stage.forged() == []
    assert worst < 1000 * LATE


@EITHER_WAY
def test_a_hang_of_one_worker_holds_no_other_up(stage: Stage, row: Row) -> None:
    asker = stage.play("--workers", "2")
    rounds = portion(60, least=3)
    wrong: list[object] = []
    for number in range(rounds):
        hanging = asker.put(WAYS[number % len(WAYS)], deadline=DEADLINE)
        if asker.ask(f"number {number}").value != number:
            wrong.append(number)
        if (answer := asker.take(hanging)).status != "timeout":
            wrong.append(answer.fields)
    row("while one worker hangs, the other answers", hangs=rounds, wrong=len(wrong))
    assert not wrong, "\n".join(map(str, wrong))


@EITHER_WAY
def test_what_hangs_at_its_farewell_is_ended(stage: Stage, row: Row) -> None:
    """``nectar_worker_stopping``, ``atexit`` and threads that never end: a stop waits for none of them."""
    stage.play(
        text="""
import atexit, threading, time
import nectar

@nectar.hookimpl
def nectar_compute(computation):
    return 1

@nectar.hookimpl
def nectar_worker_stopping():
    atexit.register(time.sleep, 3600)
    threading.Thread(target=time.sleep, args=(3600,)).start()
    time.sleep(3600)
"""
    )
    stage.world.run("stop", stage.name)
    until(lambda: not stage.left(), "no process is left", seconds=LATE)
    row("a farewell that does not end is cut off, and no process is left", stops=1, processes_left=len(stage.left()))
