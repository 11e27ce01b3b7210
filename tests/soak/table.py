"""The table of a soak run: each test writes a row, and the run prints them all at its end."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

VARIABLE = "NECTAR_SOAK_ROWS"
# Set here, in the process that prints; those that run the tests are started by it and inherit it.
os.environ.setdefault(VARIABLE, str(Path(tempfile.gettempdir()) / f"nectar-soak-{os.getpid()}"))

FRACTION = min(1.0, float(os.environ.get("NECTAR_SOAK") or 0.1))
"""How much of each row is run."""


class Row:
    """One test's row.

    :param name: the test's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._begun = time.monotonic()

    def __call__(self, promise: str, **numbers: object) -> None:
        """Note what is promised and the numbers that were reached; to be called before they are asserted."""
        row = {"test": self._name, "promise": promise, "numbers": numbers, "seconds": time.monotonic() - self._begun}
        directory = Path(os.environ[VARIABLE])
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(row, default=str) + "\n")


def portion(whole: int, least: int = 1, *, shared: bool = False) -> int:
    """What this run does of a whole number.

    :param shared: whether another test, which the caller names, tries the same: where not all is run, each of the two does half.
    """
    return max(least, round(whole * FRACTION * (0.5 if shared and FRACTION < 1 else 1)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = read()
    if not rows or hasattr(terminalreporter.config, "workerinput"):
        return
    terminalreporter.write_sep("=", f"soak, {FRACTION:g} of all")
    terminalreporter.write_line(markdown(rows))
    shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)


def read() -> list[dict[str, Any]]:
    files = sorted(Path(os.environ[VARIABLE]).glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return sorted(rows, key=lambda row: str(row["test"]))


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["| what is promised | what the run reached | `nox -s soak -- -k` … |", "|---|---|---|"]
    for row in rows:
        numbers = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in row["numbers"].items())
        name = row["test"].replace("[", " and ").rstrip("]")
        lines.append(f"| {row['promise']} | {numbers} | `{name}`, {row['seconds']:.0f} s |")
    return "\n".join(lines)


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
