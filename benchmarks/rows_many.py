"""What grows with what there is, and what does not: the rows that take long."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from asking import Client
from measuring import cpu_seconds, largest_size, proportional_size
from rows_answers import of_rounds
from rows_commands import milliseconds, seconds
from systems import Nectar, World, warm
from table import Figure, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW, MANY = 1000, 100_000
IDLE = 10.0


def backlog(world: World) -> Iterator[Row]:
    """Questions that lie there before a handler is attached."""
    with Nectar(world, "backlog") as ours:
        warm(ours)
        of_few = Figure([answer_backlog(ours, f"few{number}", FEW) for number in range(world.rounds)], "/s")
        small = largest_size(ours.pids[0])
        of_many = Figure([answer_backlog(ours, "many", MANY)], "/s")
        large = largest_size(ours.pids[0])
    yield Row(f"backlog of {MANY:,}", of_many, of_few, f"with {FEW:,}", least=0.8)
    yield Row("the same: the daemon's largest size", Figure([large], "MB"), Figure([small], "MB"), f"with {FEW:,}", most=1.1)


def answer_backlog(ours: Nectar, alias: str, count: int) -> float:
    """How many a second are answered, from the first answer on."""
    client = Client(ours.world.node(alias))
    client.put(count)
    attaching = subprocess.Popen(ours.world.command("attach", ours.name, alias), stdout=subprocess.DEVNULL)
    there, begun = client.wait_for(1), time.perf_counter()
    client.wait_for(count)
    speed = (count - there) / (time.perf_counter() - begun)
    attaching.wait()
    client.collect()
    client.close()
    return speed


def aliases(world: World) -> Iterator[Row]:
    """One handler for many nodes."""
    names = [f"node{number:03}" for number in range(FEW)]
    for name in (*names, "late"):
        world.node(name)
    with Nectar(world, "hub") as ours:
        warm(ours)

        def attach_late() -> float:
            took = seconds(lambda: world.nectar("attach", ours.name, "late"))
            world.nectar("detach", ours.name, "late")
            return took

        before = [attach_late() for _ in range(2 * world.rounds)]
        all_of_them = seconds(lambda: world.nectar("attach", ours.name, *names))
        after = [attach_late() for _ in range(2 * world.rounds)]
        last = Client(world.node(names[-1]))
        clients = (last, ours.client)
        for client in clients:
            client.ask_in_turn(300)
        times: list[list[list[float]]] = [[], []]
        for _ in range(world.rounds):
            for client, of_client in zip(clients, times, strict=True):
                of_client.append(client.ask_in_turn(300))
        last.close()
        time.sleep(2)
        cpu = cpu_seconds(ours.pids)
        time.sleep(IDLE)
        share = (cpu_seconds(ours.pids) - cpu) / IDLE * 100
    yield Row(f"{FEW:,} aliases: p50 on the last", *of_rounds(times, 0.50), "on the first", most=1.2)
    yield Row("the same: idle processor", Figure([share], "%"), most=1)
    yield Row("the same: attach one more", milliseconds(after), milliseconds(before), "to one alias", most=1.2)
    yield Row("the same: attach them all, each", Figure([all_of_them / FEW * 1000], "ms"))


def handlers(world: World) -> Iterator[Row]:
    """Many handlers of the same content."""
    source = world.file("one_of_many")
    sizes, views = [], []
    for number in range(100):
        name = f"one{number:02}"
        world.nectar("launch", source, name)
        if number in (0, 99):
            views.append([seconds(lambda: world.nectar("view")) for _ in range(2 * world.rounds)])
            sizes.append(
                [proportional_size(world.view(name)["pids"]) for name in [f"one{other:02}" for other in range(number + 1)]]
            )
    world.nectar("stop", "--all")
    alone, among = Figure([statistics.mean(sizes[0])], "MB"), Figure([statistics.mean(sizes[1])], "MB")
    yield Row("100 handlers: memory (PSS) of each", among, alone, "one alone", most=1.0)
    yield Row("the same: nectar view", milliseconds(views[1]), milliseconds(views[0]), "with one", most=2)
