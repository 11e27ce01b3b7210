"""No worker outlives its daemon, and no daemon runs beside an old worker."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.soak.ground import EITHER_WAY, LATE, Ground, gone, kill, put, until_gone
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

PLACES = ("idle", "spin", "native", "family")


@EITHER_WAY
def test_no_worker_outlives_its_daemon(ground: Ground, row: Row) -> None:
    ground.launch()
    directory = ground.node()
    rounds = portion(20 if ground.walled else 100, least=len(PLACES))
    worst: defaultdict[str, float] = defaultdict(float)
    beside = 0
    for number in range(rounds):
        place = PLACES[number % len(PLACES)]
        daemon = ground.daemon
        workers = ground.workers(daemon)
        if place != "idle":
            put(directory, f"q{number}", place)
            ground.until_begun(f"q{number}")
        if place == "family":
            until(lambda: len(ground.marked()) >= 3, "its children are there")
        everybody = ground.marked()
        kill(daemon)
        worst[place] = max(worst[place], until_gone(*workers))
        # In this directory nothing is left to do for the next daemon, but what the last one was at.
        for path in (directory / ".nectar").iterdir():
            path.unlink()
        ground.world.run("start", ground.name)
        beside += sum(not gone(pid) for pid in everybody)
    row(
        "wherever a worker is when its daemon is killed, it is gone within 1 s, and the next daemon never runs beside it",
        rounds=rounds,
        **{f"ms_at_most_{place}": round(1000 * seconds) for place, seconds in worst.items()},
        still_there_when_the_next_runs=beside,
    )
    assert max(worst.values()) < LATE
    assert beside == 0


@EITHER_WAY
def test_a_worker_that_is_still_loading(ground: Ground, row: Row) -> None:
    """The daemon dies while a new worker imports the handler."""
    ground.launch()
    rounds = portion(20, least=2)
    worst = 0.0
    for _ in range(rounds):
        daemon = ground.daemon
        (old,) = ground.workers(daemon)
        kill(old)
        new = _replaced(ground, daemon, old)
        kill(daemon)
        worst = max(worst, until_gone(new))
        ground.world.run("start", ground.name)
    row("a worker that loads when its daemon is killed is gone within 1 s", rounds=rounds, ms_at_most=round(1000 * worst))
    assert worst < LATE


def _replaced(ground: Ground, daemon: int, old: int) -> int:
    """The worker that comes after another one."""
    until(lambda: set(ground.workers(daemon)) - {old}, "there is a new worker")
    (new,) = set(ground.workers(daemon)) - {old}
    return new
