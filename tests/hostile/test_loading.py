"""A handler that cannot load does not eat questions."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.hostile.stage import EITHER_WAY, milliseconds
from tests.soak.ground import LATE, LONG, kill
from tests.soak.table import FRACTION, portion
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.stage import Asker, Stage
    from tests.soak.table import Row

FICKLE = """
import os, signal, sys, time
from nectar import handler

SWITCH = os.environ["HERE"] + "/switch"

def note(what):
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{time.time()} {what}\\n".encode())
    os.close(file)

note("load")
how = open(SWITCH).read()
if how == "raise":
    raise ValueError("the switch says no")
if how == "exit":
    sys.exit("bye")
if how == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "later":
    signal.setitimer(signal.ITIMER_REAL, 0.5)
if how == "sleep":
    time.sleep(3600)
note("ready")

@handler
def fickle(comp):
    return int(comp.query)
"""
WHY = {
    "raise": "ValueError: the switch says no",
    "exit": "SystemExit: bye",
    "die": "was ended by SIGKILL while it loaded",
    "later": "was ended by SIGALRM after it had loaded the handler, again and again",
    "sleep": "was not loaded within 5 s",
}


@pytest.mark.parametrize("way", WHY)
def test_a_handler_that_cannot_load_eats_no_questions(stages: Callable[[str], Stage], row: Row, way: str) -> None:
    """What waits stays as it is, `view` says why, the pauses grow, another handler is not disturbed, and it comes back by itself."""
    stage, other = stages("fickle"), stages("honest")
    settings: dict[str, object] | None = {"start_timeout": 5} if way == "sleep" else None
    other.file = stage.file  # and so one environment; its worker was loaded before, and stays
    switch = stage.world.directory / "switch"
    switch.touch()
    asker, honest = (each.play(text=FICKLE, settings=settings, reads=switch) for each in (stage, other))
    switch.write_text(way)
    kill(stage.status()["workers"][0]["pid"])
    until(lambda: stage.status()["failing"] is not None, "the daemon says that it is failing")
    pauses = max(2, round(6 * FRACTION)) if way == "raise" else 1
    # One that loads, and dies a moment later, is given a question in between.
    questions = 0 if way == "later" else portion(1000, least=20)
    names = [_put(asker, number) for number in range(questions)]
    before = {name: os.stat(asker.directory / name).st_ino for name in names}
    loads = 1 + pauses + (2 if way == "later" else 0)
    others = 0
    end = time.monotonic() + LONG
    while len(stage.noted("load")) < 1 + loads and time.monotonic() < end:
        assert honest.ask(str(others)).value == others
        others += 1
        time.sleep(0.1)
    tries = stage.noted("load")[1:]
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    until(lambda: WHY[way] in (stage.status()["failing"] or ""), "it says why")
    shown = stage.world.run("view").stdout
    fields = stage.world.json("view")["handlers"]
    detail = stage.world.run("view", stage.name).stdout
    touched = sum(name not in before or os.stat(asker.directory / name).st_ino != before[name] for name in _waiting(asker))
    touched += questions - len(_waiting(asker))
    switch.write_text("")
    begun = time.monotonic()
    answers = [asker.take(name.removesuffix(".pending")) for name in names]
    recovered = time.monotonic() - begun
    wrong = [answer.fields for number, answer in enumerate(answers) if answer.value != number]
    row(
        f"a handler that cannot load ({way}) claims nothing, says why, tries again after 1, 2, 4 ... 60 s, and recovers",
        questions=questions,
        touched_meanwhile=touched,
        wrong=len(wrong),
        of_another_handler_meanwhile=others,
        s_between_tries=" ".join(f"{gap:.1f}" for gap in gaps),
        s_to_recover=recovered,
    )
    assert touched == 0
    assert not wrong, wrong[:3]
    assert "Failing: " in shown and WHY[way] in shown
    assert WHY[way] in detail
    assert {item["name"]: item["failing"] for item in fields}["honest"] is None
    assert {item["name"]: item["failing"] for item in fields}["fickle"]
    assert all(gap > 0.9 * wanted for gap, wanted in zip(gaps[-pauses:], (1, 2, 4, 8, 16, 32), strict=False))
    until(lambda: stage.status()["failing"] is None, "it is well again")
    assert stage.forged() == []


@EITHER_WAY
def test_a_handler_that_loads_too_slowly(stage: Stage, row: Row) -> None:
    """Beyond ``start_timeout`` a launch says so, and leaves nothing."""
    rounds = portion(10, least=2)
    stage.write(text="import time\ntime.sleep(3600)\n" + FICKLE, settings={"start_timeout": 0.5})
    times, wrong = [], []
    for _ in range(rounds):
        begun = time.monotonic()
        ended = stage.world.run("launch", stage.file, "slow", code=None)
        times.append(time.monotonic() - begun)
        if ended.returncode != 1 or "was not loaded within 0.5 s" not in ended.stderr or "Traceback" in ended.stderr:
            wrong.append((ended.returncode, ended.stderr))
    usual, worst = milliseconds(times)
    row(
        "import beyond start_timeout (0.5 s): launch ends within 3 s after it with a sentence, and leaves nothing",
        launches=rounds,
        wrong=len(wrong),
        ms_of_a_launch=usual,
        worst=worst,
        processes_left=len(stage.left()),
    )
    assert not wrong, wrong
    assert stage.world.json("view")["handlers"] == []
    until(lambda: not stage.left(), "no process is left", seconds=LATE)


def _put(asker: Asker, number: int) -> str:
    return f"{asker.put(str(number), deadline=600)}.pending"


def _waiting(asker: Asker) -> list[str]:
    return [name for name in os.listdir(asker.directory) if name.endswith(".pending")]
