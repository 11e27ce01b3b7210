"""A question that is still being written is neither run nor refused, and one whose writer died is answered with an error."""

from __future__ import annotations

import heapq
import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nectar.spool.spool import STILL
from nectar.testing.sample import sample
from tests.soak.ground import HELD_UP, LATE, LONG, Ground, Reader
from tests.soak.table import portion

if TYPE_CHECKING:
    from tests.soak.table import Row

AT_ONCE = 200
LONGEST_PAUSE = 1.5


@dataclass(order=True)
class Writing:
    """One file that is being written in pieces."""

    due: float
    comp_id: str
    pieces: list[bytes] = field(compare=False)
    length: int = field(compare=False)
    file: IO[bytes] | None = field(default=None, compare=False)
    touched: float = field(default=0.0, compare=False)
    longest: float = field(default=0.0, compare=False)

    def step(self, directory: Path) -> bool:
        """Write the next piece; whether it was the last."""
        begun = time.monotonic()
        if self.file is None:
            self.file = (directory / f"{self.comp_id}.pending").open("wb", buffering=0)
        self.file.write(self.pieces.pop(0))
        # From before the last piece to after this one: the longest that anybody can have seen it still.
        self.longest = max(self.longest, time.monotonic() - (self.touched or begun))
        self.touched = begun
        if not self.pieces:
            self.file.close()
        return not self.pieces


def _questions(count: int) -> list[Writing]:
    chance = random.Random(11)
    made = []
    for number in range(count):
        length = int(math.exp(chance.uniform(math.log(10), math.log(1_000_000 if number % 10 == 0 else 20_000))))
        raw = sample(f"length {'x' * length}", comp_id=f"q{number}").to_json()
        cuts = sorted(chance.sample(range(1, len(raw)), chance.randint(1, 4)))
        pieces = [raw[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        made.append(Writing(0.0, f"q{number}", pieces if chance.random() < 0.9 else [b"", *pieces], length))
    return made


def test_questions_written_in_pieces(ground: Ground, row: Row) -> None:
    ground.launch(noted=False)
    directory = ground.node()
    chance = random.Random(12)
    waiting = _questions(portion(10_000))
    everything = list(waiting)
    open_now: list[Writing] = []
    with Reader(directory) as reader:
        while waiting or open_now:
            now = time.monotonic()
            while waiting and len(open_now) < AT_ONCE:
                one = waiting.pop()
                one.due = now
                heapq.heappush(open_now, one)
            one = heapq.heappop(open_now)
            time.sleep(max(0.0, one.due - now))
            if not one.step(directory):
                pause = chance.uniform(0, LONGEST_PAUSE) if chance.random() < 0.2 else chance.uniform(0, 0.1)
                one.due = time.monotonic() + pause
                heapq.heappush(open_now, one)
        lost = reader.until([each.comp_id for each in everything])
    held_up = {each.comp_id for each in everything if each.longest >= HELD_UP}
    wrong = [
        each.comp_id for each in everything if each.comp_id not in lost | held_up and reader.value(each.comp_id) != each.length
    ]
    row(
        "a question that is written in pieces, with pauses up to 1.5 s, is never run or refused half-written",
        questions=len(everything),
        lost=len(lost),
        wrong=len(wrong),
        torn=len(reader.torn),
        held_up_by_the_machine=len(held_up),
        longest_pause_s=max(each.longest for each in everything),
    )
    assert (lost, wrong, reader.torn) == (set(), [], [])
    assert set(reader.twice()) <= held_up


def test_writers_that_die(ground: Ground, row: Row) -> None:
    ground.launch(noted=False)
    directory = ground.node()
    count = portion(200)
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    with Reader(directory) as reader:
        for number in range(count):
            raw = sample("length xxxx", comp_id=f"q{number}").to_json()
            begun[f"q{number}"] = time.monotonic()
            (directory / f"q{number}.pending").write_bytes(raw[: number * 7 % (len(raw) - 2)])
            ended[f"q{number}"] = time.monotonic()
            time.sleep(0.003)
        lost = reader.until(set(begun), seconds=LONG)
    soonest = min(reader.at[comp_id] - begun[comp_id] for comp_id in reader.at)
    latest = max(reader.at[comp_id] - ended[comp_id] for comp_id in reader.at)
    errors = [comp_id for comp_id in reader.answers if reader.answers[comp_id][0]["status"] == "error"]
    row(
        "a writer dies half-way: an error answer, no sooner than after 2 s, no later than after 4 s",
        questions=count,
        lost=len(lost),
        errors=len(errors),
        soonest_s=soonest,
        latest_s=latest,
    )
    assert lost == set()
    assert len(errors) == count
    assert soonest >= STILL
    assert latest < LATE
    assert reader.twice() == []
