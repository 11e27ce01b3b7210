"""What a wall costs: a question, a start, and memory."""

from __future__ import annotations

import resource
import statistics
import time
from typing import TYPE_CHECKING

from measuring import list_children, proportional_size
from rows_answers import ask_in_turns, of_rounds
from systems import HANDLER, Nectar, World, warm
from table import Figure, Row

from nectar.manage.environment import store
from nectar.manage.source.source import open_source
from nectar.manage.wall import trying

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS = 10
STARTS = 20
RENEWED = """
# /// script
# [tool.nectar]
# recycle_after = 1
# ///
from nectar import Computation, handler

@handler
def analyze(comp: Computation) -> int:
    return len(comp.query)
"""
"""Each question has a worker of its own, which is started when the one before it has been answered."""


def walls(world: World) -> Iterator[Row]:
    if not isinstance(trying.examine(world.home), str):
        yield Row("behind a wall", None, most=1.03, note="not measured: none can stand here")
        return
    with Nectar(world, "open") as outside, Nectar(world, "walled", "--sandbox") as inside:
        warm(outside, inside)
        times: list[list[list[float]]] = [[], []]
        for _ in range(TURNS):  # short ones: what is looked for is small, and others may work meanwhile
            for of_system, of_turn in zip(times, ask_in_turns(world, 100, inside, outside), strict=True):
                of_system.extend(of_turn)
        yield Row("behind a wall, one at a time: p50", *of_rounds(times, 0.50), "without", most=1.03)
        time.sleep(1)
        sizes = [proportional_size(list_all(system.pids)) for system in (inside, outside)]
        yield Row("the same: memory (PSS) of daemon and worker, more", Figure([sizes[0] - sizes[1]], "MB"), most=1)
    with Nectar(world, "open", text=RENEWED) as outside, Nectar(world, "walled", "--sandbox", text=RENEWED) as inside:
        more = []
        for _ in range(world.rounds):
            of_each = [statistics.median(system.client.ask_in_turn(STARTS)) * 1000 for system in (inside, outside)]
            more.append(of_each[0] - of_each[1])
        yield Row("the same: start of a worker, more", Figure(more, "ms"), most=40)
    more = [build(world, number, walled=True) - build(world, number, walled=False) for number in range(world.rounds)]
    yield Row("the same: processor time to build the environment of a file, more", Figure(more, "s"), most=0.25)


def build(world: World, number: int, *, walled: bool) -> float:
    """Seconds of the processors that a build takes, and all that it starts."""
    file = world.file("built", f"{HANDLER}\n# {number} {walled}\n")
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + time.process_time()
    store.provide(world.home, open_source(file), report=lambda _: None, walled=walled)
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + time.process_time() - before


def list_all(pids: list[int]) -> list[int]:
    """These processes, and all that they have started: behind a wall, the worker is no child of the daemon's, but of what stands between."""
    found = dict.fromkeys(pids)
    for pid in pids:
        found |= dict.fromkeys(list_all(list_children(pid)))
    return [*found]
