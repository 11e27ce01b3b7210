"""How fast questions are answered, and what each costs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from measuring import bytes_written, count_calls, cpu_seconds, hogs, watch_others
from systems import Floor, Nectar, Process, World, warm
from table import Figure, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

AT_ONCE = 2000
AHEAD = 64
"""How many questions the pipelined floor sends ahead; with 16 and with 256 it is as fast."""
SLEEPING = """
import time
from nectar import Computation, handler

@handler
def analyze(comp: Computation) -> int:
    time.sleep(0.02)
    return len(comp.query)
"""
COMPUTING = """
import time
from nectar import Computation, handler

@handler
def analyze(comp: Computation) -> int:
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    return len(comp.query)
"""


def one_at_a_time(world: World) -> Iterator[Row]:
    with Nectar(world) as ours, Floor(world, ours.python) as floor:
        warm(ours, floor)
        times = ask_in_turns(world, 1000, ours, floor)
        yield Row("one at a time: p50", *of_rounds(times, 0.50), most=1.3)
        yield Row("one at a time: p99", *of_rounds(times, 0.99), most=1.5)


def at_once(world: World) -> Iterator[Row]:
    """The speed of a burst, and what it takes of the processors."""
    with Nectar(world) as ours, Floor(world, ours.python, ahead=AHEAD) as floor:
        warm(ours, floor, count=AT_ONCE // 2)
        speeds, costs = ask_at_once_in_turns(world, AT_ONCE, ours, floor)
        yield Row(f"{AT_ONCE:,} at once, one worker", *figures(speeds, "/s"), "floor, pipelined", least=0.6)
        yield Row("CPU a question, at once", *figures(costs, "ms"), "floor, pipelined", most=2.5)


def calls(world: World) -> Iterator[Row]:
    """What each question asks of the kernel: a burst that is short, because strace is slow."""
    count = 300
    with Nectar(world) as ours, Floor(world, ours.python) as floor:
        warm(ours, floor)
        of_daemons, of_all, written = [], [], []
        for system in (ours, floor):
            before = bytes_written(system.pids)
            system.client.ask_at_once(count)
            written.append(Figure([(bytes_written(system.pids) - before) / count], "B"))
            system.client.collect()
            of_daemons.append(count_calls_each(system, system.pids[:1], count))
            of_all.append(count_calls_each(system, system.pids, count))
        missing = "not measured: strace is not here, or may not look"
        yield Row("system calls a question, at once: daemon", *of_daemons, most=17, absolute=True, note=missing)
        yield Row("the same with the worker's", *of_all, note=missing)
        yield Row("bytes written a question, at once", *written)


def count_calls_each(system: Nectar | Process, pids: list[int], count: int) -> Figure | None:
    total = count_calls(pids, lambda: system.client.ask_at_once(count))
    system.client.collect()
    return None if total is None else Figure([total / count])


def under_load(world: World) -> Iterator[Row]:
    with Nectar(world, nodes=5) as ours, Floor(world, ours.python, nodes=5) as floor, hogs(2) as hogging:
        warm(ours, floor, count=100)
        times = ask_in_turns(world, 400, ours, floor, beside=hogging)
        yield Row("five nodes at once, beside two hogs: p99", *of_rounds(times, 0.99), most=2)


def large(world: World) -> Iterator[Row]:
    query = "?" * 200_000
    with Nectar(world, query=query) as ours, Floor(world, ours.python, query=query) as floor:
        warm(ours, floor, count=30)
        times = ask_in_turns(world, 100, ours, floor)
        yield Row("queries of 200 KB: p99", *of_rounds(times, 0.99), most=2)


def side_by_side(world: World) -> Iterator[Row]:
    """Several runs at a time beside one."""
    what = "concurrency = 8, 20 ms of sleep"
    if "--concurrency" in world.nectar("launch", "--help"):
        yield _compare(world, what, SLEEPING, "--concurrency", "8", count=80, least=7)
    else:
        yield Row(what, None, least=7, note="not built")
    yield _compare(world, "workers = 2, 20 ms of computing", COMPUTING, "--workers", "2", count=40, least=1.7)


def _compare(world: World, what: str, text: str, *options: str, count: int, least: float) -> Row:
    with Nectar(world, "several", *options, text=text) as ours, Nectar(world, "single", text=text) as single:
        speeds, _ = ask_at_once_in_turns(world, count, ours, single, rounds=3)
        return Row(what, *figures(speeds, "/s"), "one at a time", least=least)


def ask_in_turns(world: World, count: int, *systems: Nectar | Process, beside: Sequence[int] = ()) -> list[list[list[float]]]:
    """Have all of them answer, one after the other, and again; return the seconds of each question, by round, for each system.

    :param beside: PIDs of what we have running besides.
    """
    times: list[list[list[float]]] = [[] for _ in systems]
    for _ in range(world.rounds):
        with watch_others([*find_pids(systems), *beside], world.others):
            for system, of_system in zip(systems, times, strict=True):
                of_system.append(system.client.ask_in_turn(count))
    return times


def ask_at_once_in_turns(
    world: World, count: int, *systems: Nectar | Process, rounds: int | None = None
) -> tuple[list[list[float]], list[list[float]]]:
    """The same for bursts; return for each system and round how many a second were answered, and the milliseconds of processor for each."""
    speeds: list[list[float]] = [[] for _ in systems]
    costs: list[list[float]] = [[] for _ in systems]
    for _ in range(rounds or world.rounds):
        with watch_others(find_pids(systems), world.others):
            for system, speed, cost in zip(systems, speeds, costs, strict=True):
                before = cpu_seconds(system.pids)
                speed.append(count / system.client.ask_at_once(count))
                cost.append((cpu_seconds(system.pids) - before) / count * 1000)
                system.client.collect()
    return speeds, costs


def find_pids(systems: Iterable[Nectar | Process]) -> list[int]:
    """All that work when these are asked."""
    return [pid for system in systems for pid in (*system.pids, *system.client.pids)]


def of_rounds(times: list[list[list[float]]], part: float) -> list[Figure]:
    """Within how many milliseconds this part of the questions was answered, in each round, for each system."""
    return [Figure([percentile(of_round, part) * 1000 for of_round in of_system], "ms") for of_system in times]


def percentile(times: list[float], part: float) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[round(part * 100) - 1]


def figures(values: list[list[float]], unit: str) -> list[Figure]:
    return [Figure(of_system, unit) for of_system in values]
