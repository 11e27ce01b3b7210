"""The real pool and the real aliases against their models, on a machine in the test's hand."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.soak.pool_model import EPISODE, Model
from tests.soak.table import FRACTION

if TYPE_CHECKING:
    from tests.soak.table import Row

SEED = "NECTAR_MODEL_SEED"
SECONDS = 600 if FRACTION >= 1 else 20


def test_the_pool_against_its_model(row: Row) -> None:
    """Any order of what a daemon, its workers and the system do, with effects that come late, in pieces or never."""
    seed = int(os.environ.get(SEED) or secrets.randbelow(10**9))
    begun, steps, seen = time.monotonic(), 0, Counter[str]()
    while (took := time.monotonic() - begun) < SECONDS:
        model = Model(seed)
        try:
            model.run()
        except BaseException as error:
            error.add_note(f"{SEED}={seed} gives these steps again")
            raise
        if SEED in os.environ:
            return
        steps, seed = steps + EPISODE, seed + 1
        seen += model.seen
    row(
        "whatever comes late, in pieces or never: each job has one outcome, its own, and no worker that ends gets one",
        **{"steps": steps, "steps a second": round(steps / took), **seen, "wrong": 0},
    )
    # Else the steps try less than they should.
    assert seen.keys() >= {"success", "timeout", "died", "none", "closed", "nonsense", "memory"}
