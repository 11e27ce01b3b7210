"""How long commands take."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from systems import Nectar, World
from table import Figure, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def commands(world: World) -> Iterator[Row]:
    """What is typed most, beside the start of Python and the import of click."""
    with Nectar(world) as ours:
        ours.client.ask_at_once(50)
        ours.client.collect()
        world.node("late")
        acts: dict[str, Callable[[], object]] = {
            "--help": lambda: world.nectar("--help"),
            "view": lambda: world.nectar("view"),
            "attach": lambda: world.nectar("attach", ours.name, "late"),
            "logs -n 20 --no-follow": lambda: world.nectar("logs", ours.name, "-n", "20", "--no-follow"),
        }
        took: dict[str, list[float]] = {name: [] for name in acts}
        imports = []
        for _ in range(2 * world.rounds):
            imports.append(seconds(lambda: subprocess.run([sys.executable, "-c", "import click"], check=True)))
            for name, act in acts.items():
                took[name].append(seconds(act))
            world.nectar("detach", ours.name, "late")
        for name, times in took.items():
            yield Row(f"nectar {name}", milliseconds(times), milliseconds(imports), "import click", most=1.8)


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def milliseconds(times: list[float]) -> Figure:
    return Figure([each * 1000 for each in times], "ms")
