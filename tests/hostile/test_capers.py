"""User code cannot talk over us: whatever it does to its own process, the daemon, its log and the next question are well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests import needs
from tests.hostile.stage import EITHER_WAY, LOG_CAP, resident
from tests.soak.ground import LATE
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.hostile.stage import Answer, Stage
    from tests.soak.table import Row

HARMLESS = {
    "chatter 3": 1,
    "unended 100000": 1,
    "deaf": 1,
    "no_streams": 1,
    "wander": 1,
    "fork_and_return": 1,
    "fork_and_raise": 1,
    "many_children": 1,
    "threads": 1,
    "patch_json": 1,
    "patch_os": 1,
    "patch_builtins": 1,
    "patch_operator": 1,
    "patch_socket": 1,
    "patch_modules": 1,
    "patch_struct": 1,
    "signals": 1,
    "at_exit": 1,
    "slow_collector": 1,
    "tracing": 1,
    "move_group": 1,
    "not_subreaped": 1,
    "rename_self": 1,
    "lying_number": 5,
    "no_recursion": 1,
    "patch_time": 1,
}
"""What costs nothing, and its value."""
ERRORS = {
    "forged_lines": "ValueError: a\n2026",
    "exit_politely": "SystemExit: 0",
    "interrupt": "KeyboardInterrupt",
    "generator_exit": "GeneratorExit",
    "giant_text": "returned a str",
    "giant_bytes": "returned a bytearray",
    "giant_number": "integer of 268435457 bits",
    "giant_error": "ValueError: xxx",
    "giant_class": "EEEE",
    "giant_kind": "returned a ",
    "astral_error": "ValueError: \U0001f480",
    "astral_traceback": "ValueError: \U0001f480",
    "chained": "ValueError: 1999",
    "circular": "ValueError: circular",
    "lying_error": "",
    "no_message": "",
    "lying_kind": "",
    "group": "BaseExceptionGroup: many",
    "patch_traceback": "ValueError: without a traceback",
    "few_digits": "",
}
"""What costs the answer, which says why."""
LASTING = {*HARMLESS, "patch_traceback", "few_digits"}
"""What may change its process for good."""
BREACHES = (
    "scribble",
    "noise",
    "endless_frame",
    "deep_frame",
    "forged_ready",
    "shut_channel",
    "read_channel",
    "fork_and_scribble",
    "no_room",
    "alarm",
    'forged_answer {"job": 1000000}',
    'forged_answer {"job": true, "value": 666}',
    'forged_answer {"job": 1, "seconds": NaN}',
    'forged_answer {"job": 1, "value": true}',
    'forged_answer {"job": [], "seconds": -1}',
    'forged_answer {"do": ["answer"]}',
    'forged_answer {"do": "failed"}',
    'forged_answer {"do": null}',
)
"""What breaks the connection to the daemon: it may cost the answer, or the next one."""


@EITHER_WAY
def test_user_code_cannot_talk_over_us(stage: Stage, row: Row) -> None:
    asker = stage.play()
    daemon = stage.daemon
    before = resident(daemon)
    rounds = portion(5)
    capers = {**HARMLESS, **ERRORS, **dict.fromkeys(BREACHES)}
    tried = needs.one_side(capers.items(), walled=stage.walled)
    wrong, lost, later = [], 0, 0
    for number in range(rounds):
        for query, wanted in tried:
            answer = asker.ask(query, deadline=20)
            lost += answer.status != "success"
            if not _fits(answer, wanted):
                wrong.append(f"{query[:60]}: {str(answer.fields)[:500]}")
            following = asker.ask(f"number {number}")
            if query in BREACHES and following.status == "error":
                later += 1
                following = asker.ask(f"number {number}")
            if following.value != number:
                wrong.append(f"after {query}: {str(following.fields)[:500]}")
            if query in LASTING:
                # A fresh one, so that the next caper meets a worker that is well: what the code did to itself, it keeps.
                stage.renew()
    until(lambda: not stage.strays(), "nothing is left", seconds=LATE)
    row(
        "code that talks, closes, forks, patches and lies costs one answer at most, and the daemon nothing",
        capers=rounds * len(tried),
        wrong=len(wrong),
        answers_lost=lost,
        of_breaches_the_next=later,
        lines_of_the_log_that_are_not_ours=len(stage.forged()),
        daemon_MiB_more=(resident(daemon) - before) / 1024,
        MB_of_log=stage.log_size() / 1e6,
    )
    assert not wrong, "\n".join(map(str, wrong))
    assert stage.forged() == []
    assert "Traceback (most recent call last)" in stage.log()
    assert stage.daemon == daemon
    assert stage.log_size() <= LOG_CAP
    assert resident(daemon) - before < 50 * 1024


@EITHER_WAY
def test_a_forged_answer_to_the_question_that_runs(stage: Stage, row: Row) -> None:
    """What it says is bounded: a daemon's first question is number 1, so that code can know it."""
    asker = stage.play()
    fields = ['"seconds": NaN', '"seconds": -1', '"seconds": 1' + 400 * "0", '"value": 1.5', '"status": "timeout"']
    wrong = []
    for field in (tried := needs.one_side(fields, walled=stage.walled)):
        stage.world.run("restart", stage.name)
        daemon = stage.daemon
        answer = asker.ask(f'forged_answer {{"job": 1, {field}}}')
        stage.until_alone()
        following = asker.ask("number 5")
        if answer.status != "error" or following.value != 5 or stage.daemon != daemon:
            wrong.append(f"{field[:30]}: {answer.fields} {following.fields}")
    row("a forged answer with a value or a time that cannot be is an error", forgeries=len(tried), wrong=len(wrong))
    assert not wrong, "\n".join(wrong)


def test_what_is_printed_fills_nothing(stage: Stage, row: Row) -> None:
    """100 MB of it, in long lines and in short ones, and a thread that never ends to talk."""
    asker = stage.play()
    daemon = stage.daemon
    before = resident(daemon)
    size = portion(100)
    assert asker.ask(f"speak {size}", deadline=600).value == 1
    assert asker.ask(f"chatter {size}", deadline=600).value == 1
    assert asker.ask("talking_thread").value == 1
    slowest = 0.0
    for number in range(portion(100)):
        begun = time.monotonic()
        assert asker.ask(f"number {number}").value == number
        slowest = max(slowest, time.monotonic() - begun)
    begun = time.monotonic()
    stage.world.run("view")
    seconds = time.monotonic() - begun
    asker.ask("leave 0")
    until(lambda: "printed lines were dropped" in stage.log(), "it is told that lines were dropped", seconds=LATE)
    row(
        "100 MB of print, and a thread that never stops: the log within its cap, what is left out is counted, the daemon is quick",
        MB_printed=size,
        lines=10_000 * size,
        MB_of_log=stage.log_size() / 1e6,
        slowest_question_meanwhile_ms=round(1000 * slowest),
        view_s=seconds,
        daemon_MiB_more=(resident(daemon) - before) / 1024,
    )
    assert stage.log_size() <= LOG_CAP
    assert stage.forged() == []
    assert stage.daemon == daemon
    assert resident(daemon) - before < 50 * 1024


def _fits(answer: Answer, wanted: object) -> bool:
    if isinstance(wanted, int):
        return answer.value == wanted
    if isinstance(wanted, str):
        return answer.status == "error" and wanted in answer.error and len(answer.error) < 2200
    return answer.status == "error" or answer.value == 1
