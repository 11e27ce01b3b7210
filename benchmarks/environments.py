"""How long a launch takes, beside what it is made of; and what nectar adds to a handler's environment and process.

Each figure is a ratio of two medians that were taken in turns in one run: a busy machine slows both. ``nox -s bench`` prints them.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.home import Home
from nectar.manage.uv.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
FIRST_ROUNDS = 5
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


def seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


class Bench:
    """:param directory: for everything that is made."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = Home(directory / "bee-hive")
        self.uv = find_uv()

    def nectar(self, *arguments: object) -> str:
        command = [sys.executable, "-m", "nectar.cli", "--data-dir", str(self.home.data_dir), *map(str, arguments)]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        return ended.stdout

    def project(self, number: int) -> Path:
        """A project like the example, that has not been seen before: a line of its code is new."""
        made = self.directory / f"project{number}"
        shutil.copytree(EXAMPLE, made, ignore=shutil.ignore_patterns(".venv", "uv.lock", "__pycache__"))
        module = next(made.glob("src/*/__init__.py"))
        module.write_text(module.read_text() + f"\n# {number} {os.getpid()}\n")
        subprocess.run([self.uv, "lock", "--quiet", "--project", made], check=True)
        return made

    def by_hand(self, project: Path) -> None:
        """What a person would do without nectar: sync, and import."""
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(self.directory / f"{project.name}-venv")}
        subprocess.run(
            [self.uv, "sync", "--quiet", "--locked", "--no-default-groups", "--project", project], check=True, env=environment
        )
        module = next(project.glob("src/*/__init__.py")).parent.name
        python = Path(environment["UV_PROJECT_ENVIRONMENT"]) / "bin" / "python"
        # Without nectar the decorator is not there; that it is found missing shows that the module was reached.
        subprocess.run([python, "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL)

    def launches(self) -> None:
        """Known content beside ``--version``, new content beside doing it by hand."""
        known = self.project(0)
        self.nectar("launch", known, "known")
        self.nectar("stop", "known")
        versions, launches = [], []
        for _ in range(ROUNDS):
            versions.append(seconds(lambda: self.nectar("--version")))
            launches.append(seconds(lambda: self.nectar("launch", known, "known")))
            self.nectar("stop", "known")
        show("launch of known content", launches, "nectar --version", versions, goal=3)
        firsts, hands = [], []
        for number in range(1, FIRST_ROUNDS + 1):
            fresh, other = self.project(number), self.project(100 + number)
            firsts.append(seconds(lambda fresh=fresh: self.nectar("launch", fresh, "fresh")))  # type: ignore[misc]
            self.nectar("stop", "fresh")
            hands.append(seconds(lambda other=other: self.by_hand(other)) + statistics.median(launches))  # type: ignore[misc]
        show("first launch, warm cache", firsts, "uv sync, import, known launch", hands, goal=1.5)

    def additions(self) -> None:
        """What nectar adds."""
        record = json.loads(self.home.registry.read_bytes())["known"]
        packages = next((self.home.envs / record["environment"] / "lib").glob("python*/site-packages"))
        distributions = [path.name for path in packages.glob("*.dist-info")]
        export = [self.uv, "export", "--quiet", "--locked", "--no-default-groups", "--no-header", "--no-annotate", "--no-hashes"]
        locked = subprocess.run(
            [*export, "--project", self.directory / "project0"], capture_output=True, text=True, check=True
        ).stdout
        own = len(locked.splitlines())
        print(
            f"distributions added to a handler's environment: {len(distributions) - own} ({len(distributions)} there, {own} its own)"
        )
        source = self.directory / "modules.py"
        source.write_text(LIST_MODULES)
        added = json.loads(self.nectar("test", source, "--json"))["result"]["value"]
        print(f"modules of third parties added to a worker: {added}")


def show(what: str, times: list[float], than: str, others: list[float], *, goal: float) -> None:
    first, second = statistics.median(times), statistics.median(others)
    print(f"{what} : {than} = {first / second:.2f} ({first:.3f} s : {second:.3f} s; goal: at most {goal})")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        bench.launches()
        bench.additions()


if __name__ == "__main__":
    main()
