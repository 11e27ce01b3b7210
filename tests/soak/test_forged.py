"""A forged answer is none, what is not ours stays as it is, and what is in the way stops nobody."""

from __future__ import annotations

import json
import os
import random
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar.testing.sample import sample
from tests.soak.ground import LATE, LONG, Ground, Reader, left, put
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

FORGED = 666_666


def _answer(comp_id: str, **more: object) -> dict[str, object]:
    return {
        "comp_id": comp_id,
        "status": "success",
        "result": {"value": FORGED},
        "error": None,
        "execution_time": 0.1,
        **more,
    }


def _question(comp_id: str, value: int) -> dict[str, object]:
    fields: dict[str, object] = json.loads(sample(f"number {value}", comp_id=comp_id).to_json())
    return fields


class Forger:
    """Lays out one forgery after another.

    :ivar right: ids of what is a question all the same, with its value; ``errors`` of what is none.
    """

    def __init__(self, directory: Path) -> None:
        self.right: dict[str, int] = {}
        self.errors: set[str] = set()
        self.foreign: list[Path] = []
        self._directory = directory
        self._claims = directory / ".nectar"
        self._chance = random.Random(21)

    def pending(self, number: int) -> None:
        """A file that a stranger may put into a node's directory."""
        comp_id, token = f"p{number}", secrets.token_hex(8)
        match number % 4:
            case 0:
                content: object = _answer(comp_id, claim=token)
                self.errors.add(comp_id)
            case 1:
                content = {**_question(comp_id, number), **_answer(comp_id, claim=token)}
                self.right[comp_id] = number
            case 2:  # its name looks like that of a claim
                comp_id = f"p{number}.1.{token}"
                content = {**_question(comp_id, number), "claim": token}
                self.right[comp_id] = number
            case _:
                content = {**_answer(comp_id), "claim": None}
                self.errors.add(comp_id)
        path = self._directory / f"{comp_id}.pending"
        aside = path.with_suffix(".aside")
        aside.write_text(json.dumps(content))
        aside.rename(path)

    def claim(self, number: int) -> None:
        """A file left in our directory by hand."""
        comp_id, token = f"c{number}", secrets.token_hex(8)
        path = self._claims / f"{comp_id}.{self._chance.randint(1, 2)}.{token}"
        match number % 6:
            case 0:
                path.write_text(json.dumps(_answer(comp_id, claim=secrets.token_hex(8))))
                self.errors.add(comp_id)
            case 1:
                path.write_text(json.dumps(_answer("another", claim=token)))
                self.errors.add(comp_id)
            case 2:
                path.write_text(json.dumps({**_question(comp_id, number), **_answer(comp_id)}))
                self.right[comp_id] = number
            case 3:
                path.write_text(json.dumps(_question(comp_id, number)))
                self.right[comp_id] = number
            case 4:
                path.write_text(json.dumps({**_question(comp_id, number), "claim": token}))
                self.right[comp_id] = number
            case _:
                path.write_text('{"comp_id": "half')
                self.errors.add(comp_id)

    def strange(self, number: int) -> None:
        """What is neither, and must stay as it is."""
        token = secrets.token_hex(8)
        path = (
            self._claims / f"notes-{number}.txt",
            self._claims / f"s{number}.1.{token}",
            self._claims / f"{token}.answer",
            self._directory / f"s{number}.pending",
            self._directory / f"s{number}.txt",
            self._directory / f"s{number}.complete",
        )[number % 6]
        match number % 6:
            case 0 | 4:
                path.write_text("mine")
            case 1 | 3:
                _strange_thing(path, number)
            case 2:
                path.mkdir()
            case _:
                path.write_text(json.dumps(_answer(f"s{number}")))
        self.foreign.append(path)

    def stamps(self) -> list[object]:
        return [(path, stat.S_IFMT(path.lstat().st_mode), path.lstat().st_mtime_ns) for path in self.foreign]


def _strange_thing(path: Path, number: int) -> None:
    match number // 6 % 3:
        case 0:
            path.symlink_to("/etc/hostname")
        case 1:
            path.mkdir()
        case _:
            os.mkfifo(path)


@pytest.mark.parametrize("running", [True, False], ids=["up", "down"])
def test_forged_answers(ground: Ground, row: Row, running: bool) -> None:
    """Claims left by hand are of interest only while no daemon holds the alias; so are they put there while it is down."""
    ground.launch(noted=False)
    directory = ground.node()
    forger = Forger(directory)
    count = portion(1000, least=12)
    if not running:
        ground.world.run("stop", ground.name)
    for number in range(count):
        forger.pending(number)
        forger.strange(number)
        if not running:
            forger.claim(number)
    before = forger.stamps()
    reader = Reader(directory)
    reader.leave = {path.name for path in forger.foreign}
    with reader:
        if not running:
            ground.world.run("start", ground.name)
        put(directory, "honest", "number 1")
        lost = reader.until({*forger.right, *forger.errors, "honest"})
    false = [comp_id for comp_id in reader.answers if reader.value(comp_id) == FORGED]
    wrong = [comp_id for comp_id, value in forger.right.items() if comp_id not in lost and reader.value(comp_id) != value]
    wrong += [comp_id for comp_id in forger.errors - lost if reader.answers[comp_id][0]["status"] != "error"]
    changed = [one for one, other in zip(before, forger.stamps(), strict=True) if one != other]
    row(
        f"the daemon is {'up' if running else 'down'}: no forged answer is published, and what is not ours stays as it is",
        forgeries=len(forger.right) + len(forger.errors) + len(forger.foreign),
        answered_rightly=len(forger.right),
        answered_with_an_error=len(forger.errors),
        published=len(false),
        wrong=len(wrong),
        lost=len(lost),
        foreign_things=len(before),
        changed=len(changed),
    )
    assert (false, wrong, lost, changed) == ([], [], set(), [])
    assert reader.twice() == []


def test_things_in_the_way(ground: Ground, row: Row) -> None:
    """A directory has the name of an answer: that one answer waits, the others do not, and it comes when the way is free."""
    ground.launch(noted=False)
    directory = ground.node()
    count = portion(100, least=5)
    blocked = [f"b{number}" for number in range(count)]
    for comp_id in blocked:
        (directory / f"{comp_id}.complete").mkdir()
    with Reader(directory) as reader:
        for number, comp_id in enumerate(blocked):
            put(directory, comp_id, f"number {number}")
            put(directory, f"f{number}", f"number {number}")
        missing = reader.until({f"f{number}" for number in range(count)})
        early = [comp_id for comp_id in blocked if comp_id in reader.answers]
        for comp_id in blocked:
            (directory / f"{comp_id}.complete").rmdir()
        begun = time.monotonic()
        missing |= reader.until(blocked)
        latest = max(reader.at[comp_id] - begun for comp_id in blocked)
    lines = sum("cannot be published" in line for line in ground.log().splitlines())
    row(
        "a directory has the name of an answer: it waits, the others do not, and it comes when the way is free",
        answers_in_the_way=count,
        others=count,
        missing=len(missing),
        latest_s=latest,
        lines_in_the_log=lines,
    )
    assert (missing, early) == (set(), [])
    assert latest < LATE
    assert lines <= 1 + (time.monotonic() - begun) / 60 + count / 60


def test_answers_that_nobody_reads(ground: Ground, row: Row) -> None:
    """``keep_answers`` of two seconds: ours go, and nothing else that is called ``*.complete``."""
    ground.launch(settings={"keep_answers": 2}, noted=False)
    directory = ground.node()
    count, foreign = portion(6000), portion(900, least=3)
    kept = {}
    for number in range(foreign):
        path = directory / f"k{number}.complete"
        match number % 3:
            case 0:
                path.write_text(json.dumps(_answer(f"k{number}")))
            case 1:
                path.write_text("not JSON")
            case _:
                path.mkdir()
        kept[path] = path.lstat().st_mtime_ns
    begun: dict[str, float] = {}
    for number in range(count):
        begun[f"q{number}"] = time.monotonic()
        put(directory, f"q{number}", "number 1", in_place=number % 2 == 0)
    soonest, latest, seen = LONG, 0.0, set()
    end = time.monotonic() + LONG
    while begun and time.monotonic() < end:
        names = set(os.listdir(directory))
        now = time.monotonic()
        there = {name.removesuffix(".complete") for name in names if name.endswith(".complete")}
        seen |= there & begun.keys()
        for comp_id in seen - there:
            if comp_id in begun:
                soonest = min(soonest, now - begun[comp_id])
                latest = max(latest, now - begun.pop(comp_id))
        # Those that came and went between two looks were there for two seconds or more: then we are what is slow.
        for comp_id in [comp_id for comp_id in begun if comp_id not in seen and f"{comp_id}.pending" not in names]:
            if now - begun[comp_id] > 20:
                begun.pop(comp_id)
        time.sleep(0.05)
    changed = [path for path, time_ns in kept.items() if not path.exists() or path.lstat().st_mtime_ns != time_ns]
    row(
        "an answer that nobody reads is removed after keep_answers (2 s here), and what is not ours never",
        answers=count,
        left=len(begun),
        soonest_s=soonest,
        latest_s=latest,
        foreign_things=foreign,
        changed=len(changed),
    )
    assert not begun
    assert soonest >= 1.9  # the file system's clock may be a tick behind
    assert changed == []
    until(lambda: len(left(directory)) == foreign, "nothing else is left")
