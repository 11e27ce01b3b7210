"""A worker that dies costs one answer, which says why; nobody else notices."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING

from tests import needs
from tests.hostile.stage import EITHER_WAY, milliseconds
from tests.soak.ground import LATE, LONG, kill
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.hostile.stage import Stage
    from tests.soak.table import Row

WAYS = {
    "segfault": "ended by SIGSEGV",
    "segfault_in_thread": "ended by SIGSEGV",
    "no_fault_handler": "ended by SIGSEGV",
    "bus_error": "ended by SIGBUS",
    "abort": "ended by SIGABRT",
    "leave 0": "ended with exit code 0",
    "leave 3": "ended with exit code 3",
    "leave 255": "ended with exit code 255",
    "kill SIGKILL": "ended by SIGKILL",
    "kill SIGTERM": "ended by SIGTERM",
    "kill SIGHUP": "ended by SIGHUP",
    "kill SIGXCPU": "ended by SIGXCPU",
    "kill_group": "ended by SIGKILL",
    "alarm_now": "ended by SIGALRM",
    "deep": "ended by SIGSEGV",
    "lose_channel": "channel to nectar",
    "lose_channel_to_another": "channel to nectar",
}
WITH_A_LINE = {
    "segfault": "in segfault",
    "segfault_in_thread": "Segmentation fault",
    "bus_error": "in bus_error",
    "abort": "in abort",
    "deep": "in deep_native",
}
"""What Python leaves in the log when it dies of a fault."""


@EITHER_WAY
def test_a_dying_worker_costs_one_answer(stage: Stage, row: Row) -> None:
    """One after another, each way in turn; the question after each is answered by the next worker."""
    asker = stage.play()
    daemon = stage.daemon
    ways = needs.one_side(WAYS.items(), walled=stage.walled)
    rounds = portion(12 * len(ways), least=len(ways))
    wrong, late, lines = [], [], Counter[str]()
    for number in range(rounds):
        query, cause = ways[number % len(ways)]
        answer = asker.ask(query)
        late.append(answer.published - stage.noted("die")[-1])
        if answer.status != "error" or cause not in answer.error or answer.value is not None:
            wrong.append(f"{query}: {answer.fields}")
        lines[query.split()[0]] += 1
        if asker.ask(f"number {number}").value != number:
            wrong.append(f"after {query}")
    log = stage.log()
    missing = {word: count - log.count(text) for word, text in WITH_A_LINE.items() if (count := lines[word]) > log.count(text)}
    usual, worst = milliseconds(late)
    row(
        f"{200} workers that die cost one answer each, which names the cause within 500 ms",
        deaths=rounds,
        ways=len(ways),
        wrong=len(wrong),
        ms_from_death_to_answer=usual,
        worst=worst,
        crashes_without_their_line_in_the_log=sum(missing.values()),
        lines_of_the_log_that_are_not_ours=len(stage.forged()),
    )
    assert not wrong, "\n".join(map(str, wrong))
    assert missing == {}
    assert stage.forged() == []
    assert stage.daemon == daemon
    assert worst < 1000 * LATE
    assert "segfault" not in lines or re.search(r'File ".*villain\.py", line \d+ in segfault', log)
    assert os.listdir(asker.directory) == [".nectar"]
    stage.until_alone()


def test_a_death_costs_no_neighbour(stage: Stage, row: Row) -> None:
    """Two workers: what the one runs, and the processes that it started, live on while the other dies."""
    asker = stage.play("--workers", "2")
    rounds = portion(20, least=3)
    lost = []
    begun = 0
    while begun < rounds:
        beside = asker.put("neighbour 1")
        until(lambda: stage.noted("neighbour"), "the neighbour runs")
        for query in ("segfault", "with_nameless_children", "leave 1"):
            begun += 1
            asker.ask(query, deadline=0.5)
        answer = asker.take(beside)
        if answer.value != 1:
            lost.append(answer.fields)
        stage.notes.write_text("")
    row("a worker that dies costs no run beside it anything, its processes included", deaths=begun, runs_lost=len(lost))
    assert lost == []
    stage.world.run("stop", stage.name)
    until(lambda: not stage.left(), "no process is left", seconds=LATE)


def test_a_worker_that_is_killed_before_it_reads(stage: Stage, row: Row) -> None:
    """A kill in the very moment in which a question comes: one answer, and mostly the right one."""
    asker = stage.play()
    rounds = portion(100)
    answers = Counter[str]()
    wrong = []
    for number in range(rounds):
        until(lambda: [worker["state"] for worker in stage.status()["workers"]] == ["idle"], "a worker is idle", seconds=LONG)
        worker = stage.worker()
        kill(worker, signal.SIGSTOP)  # so that it cannot have read it
        # A large one does not fit into the channel's buffer at once.
        comp_id = asker.put(f"number {number}" + (1_500_000 * " " if number % 2 else ""))
        pending = asker.directory / f"{comp_id}.pending"
        until(lambda pending=pending: not pending.exists(), "it is claimed")  # type: ignore[misc]
        kill(worker)
        answer = asker.take(comp_id)
        answers[answer.status] += 1
        if answer.value != number:
            wrong.append(answer.fields)
    row(
        "a worker that dies before it has read its question costs no answer: another one gets the question",
        kills=rounds,
        success=answers["success"],
        error=answers["error"],
    )
    assert not wrong, "\n".join(map(str, wrong))
