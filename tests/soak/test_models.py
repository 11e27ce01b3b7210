"""The real pool and the real aliases against their models, on a machine in the test's hand."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak import pool_model, service_model
from tests.soak.table import FRACTION
from tests.world import PATIENCE, memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.table import Row

SEED = "NECTAR_MODEL_SEED"
SECONDS, CLOCK = (600, time.monotonic) if FRACTION >= 1 else (1.5, time.process_time)
"""How long, by which clock: a part is of the processor's time, so that it tries as much on a busy machine as on an idle one."""


def test_the_pool_against_its_model(row: Row) -> None:
    """Any order of what a daemon, its workers and the system do, with effects that come late, in pieces or never."""

    def episode(seed: int) -> Counter[str]:
        model = pool_model.Model(seed)
        model.run()
        return model.seen

    enough = {"success", "timeout", "died", "none", "closed", "nonsense", "memory", "together", "waited", "failed after", "cut off"}
    episodes, speed, seen = explore(episode, pool_model.EPISODE, enough)
    row(
        "whatever comes late, in pieces or never: each job has one outcome, its own, and no worker that ends gets one",
        **{"episodes": episodes, "steps a second": speed, **seen, "wrong": 0},
    )
    # Else the steps try less than they should.
    assert SEED in os.environ or seen.keys() >= enough


def test_a_daemon_against_its_model(row: Row, tmp_path: Path) -> None:
    """The same with the service, aliases, spools and files, and with daemons that end or die and are followed by others."""
    root = memory() or tmp_path

    def episode(seed: int) -> Counter[str]:
        with tempfile.TemporaryDirectory(prefix="nectar-model-", dir=root) as directory:
            model = service_model.ServiceModel(seed, Path(directory, "data"))
            model.run()
            return model.seen + Counter({f"failed {call}": count for call, count in model.failed.items()})

    enough = {"success", "timeout", "crashes", "faults", "failed after", "cut off"}
    before = os.umask(0o077)
    try:
        episodes, speed, seen = explore(episode, service_model.EPISODE, enough)
    finally:
        os.umask(before)
    row(
        "the same with aliases, files that fail, attaching and detaching, and deaths of the daemon: each question has one answer, its own",
        **{"episodes": episodes, "steps a second": speed, **seen, "wrong": 0},
    )
    assert SEED in os.environ or seen.keys() >= enough


def explore(episode: Callable[[int], Counter[str]], steps: int, enough: set[str]) -> tuple[int, int, Counter[str]]:
    """Episodes for a while, and until enough was seen: a loaded machine needs longer.

    :param episode: one of so many ``steps``, from a seed.
    :returns: how many episodes, how many steps a second, and what was seen.
    """
    seed = int(os.environ.get(SEED) or secrets.randbelow(10**9))
    begun, episodes, seen = CLOCK(), 0, Counter[str]()
    while (took := CLOCK() - begun) < SECONDS or (took < PATIENCE and not seen.keys() >= enough):
        try:
            seen += episode(seed)
        except BaseException as error:
            error.add_note(f"{SEED}={seed} gives these steps again")
            raise
        episodes, seed = episodes + 1, seed + 1
        if SEED in os.environ:
            break
    return episodes, round(episodes * steps / max(took, 0.001)), seen
