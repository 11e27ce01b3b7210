"""Commands for one handler at the same time: what is there at the end is what the later word says."""

from __future__ import annotations

import itertools
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.soak.table import portion
from tests.words import LONG, PHASES, STARTERS, WORDS, Words

if TYPE_CHECKING:
    from tests.soak.table import Row
    from tests.world import World

pytestmark = pytest.mark.uv

SAID = [word for word in WORDS if not word.startswith("SIG")]


def test_the_later_word_counts(world: World, row: Row) -> None:
    """Each word at each phase of each command that starts a handler; a part of a run takes some of each."""
    words = Words(world)
    every = list(itertools.product(STARTERS, PHASES, WORDS))
    random.Random(7).shuffle(every)
    tried = every[: portion(len(every))]
    ends: Counter[str] = Counter()
    wrong = []
    for starter, phase, word in tried:
        try:
            ends[words.meet(starter, phase, word)] += 1
        except AssertionError as error:
            wrong.append(f"{word} at {phase} of {starter}: {error}")
    row(
        "stop, remove, detach, attach, launch, start, restart, Ctrl-C, SIGTERM and kill -9 at each phase of launch, start and restart: "
        "registry, lock, secrets, aliases and answers agree with the later word",
        tried=len(tried),
        of=len(every),
        ends=", ".join(f"{count} {end}" for end, count in sorted(ends.items())),
        wrong=len(wrong),
    )
    assert wrong == []


def test_commands_that_meet_and_are_killed(world: World, row: Row) -> None:
    """Three at once, at random, of which some are killed; then one more, which finds what they left."""
    words = Words(world)
    chance = random.Random(11)
    rounds = portion(60, least=3)
    codes: Counter[str] = Counter()
    kills = 0
    wrong = []
    for number in range(rounds):
        begun = []
        for _ in range(3):
            said = "launch" if words.record() is None else chance.choice(SAID)
            begun.append((said, words.begin_word(said)))
            begun[-1][1].has_ended(chance.uniform(0, 0.6))
        hit = []
        for _, process in chance.sample(begun, 2):
            if not process.has_ended():
                process.send_signal(chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)))
                hit.append(process)
        kills += len(hit)
        for said, process in begun:
            answer = process.answer()
            if process not in hit:
                codes[f"{said} {process.returncode}"] += 1
                if process.returncode not in (0, 3, 4):
                    wrong.append(f"{number}: {said} {process.returncode}: {answer}")
        # Only now: which of two processes comes first to its word is not said by when they were started.
        last = chance.choice(SAID)
        code = words.begin_word(last).wait(LONG)
        try:
            words.require_last(last, code)
        except AssertionError as error:
            wrong.append(f"{number}: {[(said, process.returncode) for said, process in begun]} {last} {code}: {error}")
    row(
        "commands for one handler at once, some of them killed: one daemon at most, nothing left over, and what the last one says",
        rounds=rounds,
        commands=4 * rounds,
        killed=kills,
        codes=", ".join(f"{code} {count}" for code, count in sorted(codes.items())),
        wrong=len(wrong),
    )
    assert wrong == []
