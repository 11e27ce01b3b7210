"""Commands for one handler at the same time: what is there at the end is what the later word says."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.soak.table import portion
from tests.words import PHASES, STARTERS, WORDS, Words

if TYPE_CHECKING:
    from tests.soak.table import Row
    from tests.world import World

pytestmark = pytest.mark.uv


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
