"""What a handler costs that nobody asks, and how long nobody answers when something is replaced."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from asking import wait_for_file
from measuring import count_wakings, cpu_seconds, proportional_size
from rows_answers import AHEAD
from systems import Floor, Nectar, Process, World, warm
from table import Figure, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE = 6.0
DEADLINE = 6
LOADING = 3
OVERSTAYING = f"""
import time
from nectar import Computation, handler

time.sleep({LOADING})

@handler
def analyze(comp: Computation) -> int:
    if comp.query == "stay":
        time.sleep(600)
    return len(comp.query)
"""


def idle(world: World) -> Iterator[Row]:
    """What is there after a burst, each of them alone: what two have in common counts half for each."""
    with Nectar(world) as ours:
        python = ours.python
        size, share, wakings = watch_idle(ours)
    with Floor(world, python, ahead=AHEAD) as floor:
        beside = watch_idle(floor)
    yield Row("idle: memory (PSS) of daemon and worker", size, beside[0], most=1.35)
    yield Row("the same", size, most=22)
    yield Row("idle: processor", share, beside[1], most=0.02, absolute=True)
    yield Row("idle: wake-ups a second", wakings, beside[2], most=1, absolute=True)


def watch_idle(system: Nectar | Process) -> tuple[Figure, Figure, Figure]:
    """Its memory in MB, and in percent of one processor what it takes, and how often a second it is woken."""
    warm(system, count=1000)
    time.sleep(2)
    pids = system.pids
    cpu, wakings, begun = cpu_seconds(pids), count_wakings(pids), time.perf_counter()
    time.sleep(IDLE)
    took = time.perf_counter() - begun
    return (
        Figure([proportional_size(pids)], "MB"),
        Figure([(cpu_seconds(pids) - cpu) / took * 100], "%"),
        Figure([(count_wakings(pids) - wakings) / took], "/s"),
    )


def restart(world: World) -> Iterator[Row]:
    """The longest time between two answers while a handler is restarted; a run of it takes nothing."""
    gaps = []
    with Nectar(world, "restarted") as ours:
        warm(ours)
        for _ in range(world.rounds):
            restarting = subprocess.Popen(
                world.command("restart", ours.name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
            )
            gap = 0.0
            while restarting.poll() is None:
                gap = max(gap, *ours.client.ask_in_turn(5))
            if restarting.returncode:
                raise RuntimeError(f"restart ended with {restarting.returncode}.")
            gaps.append(gap * 1000)
    yield Row("restart: longest time without an answer", Figure(gaps, "ms"), most=50)


def overstaying(world: World) -> Iterator[Row]:
    """A question behind one that stays beyond its deadline, where the next worker takes long to load."""
    beyond = []
    with ExitStack() as stack:
        handlers = [stack.enter_context(Nectar(world, f"slow{number}", text=OVERSTAYING)) for number in range(2)]
        begun, answers = [], []
        for ours in handlers:
            begun.append(time.perf_counter())
            ours.client.ask("stay", deadline=DEADLINE)
            time.sleep(0.1)
            answers.append(ours.client.ask())
        for ours, since, answer in zip(handlers, begun, answers, strict=True):
            ours.client.check(wait_for_file(answer))
            beyond.append(time.perf_counter() - since - DEADLINE)
    yield Row(f"behind one that overstays, handler loads {LOADING} s: after the deadline", Figure(beyond, "s"), most=0.5)
