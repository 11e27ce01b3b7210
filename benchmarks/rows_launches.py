"""How long a launch takes, beside what it is made of; and what nectar adds to a handler's environment and process."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from rows_commands import milliseconds, seconds
from table import Figure, Row

from nectar.manage.uv.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from systems import World

EXAMPLE = Path(__file__).parents[1] / "examples" / "query_length"
LIST_MODULES = """
import sys
from nectar import Computation, handler

@handler
def analyze(comp: Computation) -> int:
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    third = [name for name, file in files.items() if "/deps/" in file and not name.startswith("_nectar_")]
    print(len(files), "modules,", len(third), "of third parties:", *third)
    return len(third)
"""


def launches(world: World) -> Iterator[Row]:
    """Known content beside ``--version``, new content beside doing it by hand; and what nectar adds."""
    known = make_project(world, 0)
    world.nectar("launch", known, "known")
    world.nectar("stop", "known")
    versions, again = [], []
    for _ in range(2 * world.rounds):
        versions.append(seconds(lambda: world.nectar("--version")))
        again.append(seconds(lambda: world.nectar("launch", known, "known")))
        world.nectar("stop", "known")
    yield Row("launch of known content", milliseconds(again), milliseconds(versions), "nectar --version", most=2.5)
    firsts, hands = [], []
    for number in range(1, world.rounds + 1):
        fresh, other = make_project(world, number), make_project(world, 100 + number)
        firsts.append(seconds(lambda fresh=fresh: world.nectar("launch", fresh, "fresh")))  # type: ignore[misc]
        world.nectar("stop", "fresh")
        hands.append(seconds(lambda other=other: do_by_hand(world, other)) + statistics.median(again))  # type: ignore[misc]
    yield Row("first launch, warm cache", milliseconds(firsts), milliseconds(hands), "uv sync, import, known launch", most=1.3)
    yield Row("distributions added to an environment", Figure([count_added_distributions(world, known)]), most=0)
    added = json.loads(world.nectar("test", world.file("modules", LIST_MODULES), "--json"))["result"]["value"]
    yield Row("modules of third parties added to a worker", Figure([added]), most=0)


def make_project(world: World, number: int) -> Path:
    """A project like the example, that has not been seen before: a line of its code is new."""
    made = world.directory / f"project{number}"
    shutil.copytree(EXAMPLE, made, ignore=shutil.ignore_patterns(".venv", "uv.lock", "__pycache__"))
    module = next(made.glob("src/*/__init__.py"))
    module.write_text(module.read_text() + f"\n# {number} {os.getpid()}\n")
    subprocess.run([find_uv(), "lock", "--quiet", "--project", made], check=True)
    return made


def do_by_hand(world: World, project: Path) -> None:
    """What a person would do without nectar: sync, and import."""
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(world.directory / f"{project.name}-venv")}
    sync = [find_uv(), "sync", "--quiet", "--locked", "--no-default-groups", "--project", project]
    subprocess.run(sync, check=True, env=environment)
    module = next(project.glob("src/*/__init__.py")).parent.name
    python = Path(environment["UV_PROJECT_ENVIRONMENT"]) / "bin" / "python"
    # Without nectar the decorator is not there; that it is found missing shows that the module was reached.
    subprocess.run([python, "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL)


def count_added_distributions(world: World, project: Path) -> int:
    """How many there are in the environment of ``known`` that its own lock has not."""
    record = json.loads(world.home.registry.read_bytes())["known"]
    packages = next((world.home.envs / record["environment"] / "lib").glob("python*/site-packages"))
    export = [find_uv(), "export", "--quiet", "--locked", "--no-default-groups", "--no-header", "--no-annotate", "--no-hashes"]
    locked = subprocess.run([*export, "--project", project], capture_output=True, text=True, check=True).stdout
    return len(list(packages.glob("*.dist-info"))) - len(locked.splitlines())
