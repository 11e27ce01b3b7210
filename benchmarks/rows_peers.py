"""Others that could answer the same questions with the same function, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asking import Client
from measuring import proportional_size
from peers_asking import ASKER, OWNER, HueyClient, SyftClient
from rows_answers import AHEAD, AT_ONCE, ask_at_once_in_turns, percentile
from systems import HERE, Floor, Nectar, Process, World, warm
from table import Figure, Row

from nectar.manage.uv.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BURST = f"{AT_ONCE:,} at once"
HEADS = ["system", "first answer after", "p50", "p99", BURST, "CPU a question", "idle memory (PSS)"]


@dataclass(frozen=True)
class Peer:
    """
    :ivar figures: by the heads of the table; none where it could not be installed, and the note says why.
    """

    name: str
    figures: dict[str, Figure] = field(default_factory=dict)
    note: str = ""

    def to_cells(self) -> list[str]:
        if not self.figures:
            return [self.name, self.note, *[""] * (len(HEADS) - 2)]
        return [self.name, *(str(self.figures[head]) for head in HEADS[1:])]

    def to_mapping(self) -> dict[str, object]:
        figures = {head: figure.to_mapping() for head, figure in self.figures.items()}
        return {"system": self.name, "figures": figures, "note": self.note or None}


def compare(world: World) -> list[Peer]:
    """Each of them is started alone, in turns with all others, and stopped again."""
    with Nectar(world) as known:
        python = known.python
    starts: dict[str, Callable[[], Nectar | Process]] = {
        "nectar": lambda: Nectar(world),
        "floor": lambda: Floor(world, python),
        "floor, pipelined": lambda: Floor(world, python, ahead=AHEAD),
    }
    missing = []
    for name, start in (("huey", start_huey), ("watchfiles", start_watchfiles), ("syft-event", start_syft_event)):
        try:
            environment = install(world, name)
        except subprocess.CalledProcessError as error:
            missing.append(Peer(name, note=f"could not be installed: {error.stderr.strip().splitlines()[-1]}"))
        else:
            starts[name] = lambda start=start, environment=environment: start(world, environment)  # type: ignore[misc]
    taken: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in starts}
    for _ in range(min(world.rounds, 3)):
        for name in [*starts]:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                with starts[name]() as system:
                    for head, value in zip(HEADS[1:], measure(world, system), strict=True):
                        taken[name][head].append(value)
            except RuntimeError as error:
                if name == "nectar":
                    raise
                missing.append(Peer(name, note=f"could not be measured: {error}"))
                del starts[name], taken[name]
    units = ["s", "ms", "ms", "/s", "ms", "MB"]
    measured = [
        Peer(name, {head: Figure(values[head], unit) for head, unit in zip(HEADS[1:], units, strict=True)})
        for name, values in taken.items()
    ]
    return [*measured, *missing]


def beside_the_fastest(peers: list[Peer]) -> Row:
    """Nectar's burst beside that of whichever peer answers one fastest."""
    speeds = {peer.name: peer.figures[BURST] for peer in peers if peer.figures and not peer.name.startswith("floor")}
    ours = speeds.pop("nectar")
    if not speeds:
        return Row(f"{BURST}, beside the fastest peer", None, least=1, note="none could be measured")
    name = max(speeds, key=lambda name: speeds[name].median)
    return Row(f"{BURST}, beside the fastest peer", ours, speeds[name], name, least=1)


def measure(world: World, system: Nectar | Process) -> tuple[float, ...]:
    """A round of one of them, in the order of the heads."""
    warm(system)
    times = system.client.ask_in_turn(400)
    system.client.ask_at_once(AT_ONCE)
    system.client.collect()
    ((speed,),), ((cost,),) = ask_at_once_in_turns(world, AT_ONCE, system, rounds=1)
    time.sleep(1)
    size = proportional_size(system.pids)
    return system.first, percentile(times, 0.50) * 1000, percentile(times, 0.99) * 1000, speed, cost, size


def install(world: World, distribution: str) -> str:
    """An environment with nothing but this, and the path of its Python.

    :raises subprocess.CalledProcessError: it cannot be had.
    """
    environment = world.directory / "peers" / distribution
    python = str(environment / "bin" / "python")
    for command in (["venv", environment, "--python", sys.executable], ["pip", "install", "--python", python, distribution]):
        subprocess.run([find_uv(), *command], check=True, capture_output=True, text=True)
    return python


def start_watchfiles(world: World, python: str) -> Process:
    node = make_node(world, "watchfiles/computation")
    return Process([python, str(HERE / "peers" / "with_watchfiles.py"), str(node)], Client(node), [node])


def start_syft_event(world: World, python: str) -> Process:
    data_dir = world.directory / "syft-event"
    node = make_node(world, f"syft-event/datasites/{OWNER}/app_data/bench/rpc/analyze/{ASKER}")
    return Process([python, str(HERE / "peers" / "with_syft_event.py"), str(data_dir)], SyftClient(node), [node])


def start_huey(world: World, python: str) -> Process:
    """Its consumer looks for tasks each millisecond, which is more often than by default, and says nothing."""
    node = make_node(world, "huey/computation")
    variables = {**os.environ, "BENCH_HUEY": str(node / "huey.db"), "PYTHONPATH": str(HERE / "peers")}
    options = ["--worker-type", "process", "--delay", "0.001", "--max-delay", "0.001", "--quiet"]
    command = [python, "-m", "huey.bin.huey_consumer", "with_huey.huey", *options]
    return Process(command, HueyClient(node, python, variables), [node], env=variables)


def make_node(world: World, place: str) -> Path:
    node = world.directory / place
    node.mkdir(parents=True, exist_ok=True)
    return node
