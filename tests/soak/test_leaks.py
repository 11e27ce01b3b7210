"""Nothing leaks, however much is asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import LONG, Ground, Reader, descriptors_of, put
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

AHEAD = 300


@pytest.mark.usefixtures("in_memory")
def test_nothing_leaks(ground: Ground, row: Row) -> None:
    """That memory does not grow with questions is tried by those that are fuzzed, too."""
    ground.launch(noted=False)
    directory = ground.node()
    warm, count = portion(3000, least=300), portion(100_000, shared=True)
    with Reader(directory) as reader:
        _ask(directory, reader, "w", warm)
        before = _state(ground, directory)
        _ask(directory, reader, "q", count)
        until(lambda: len(ground.workers(ground.daemon)) == 1, "the worker is there")
        after = _state(ground, directory)
    statuses = [answers[0]["status"] for answers in reader.answers.values()]
    row(
        "many questions: descriptors, threads, processes and files are as before, memory within 5 %",
        answers=", ".join(f"{statuses.count(status)} {status}" for status in ("success", "error", "timeout")),
        **{name: f"{before[name]} to {after[name]}" for name in before},
    )
    assert len(reader.answers) == warm + count
    assert (reader.torn, reader.twice()) == ([], [])
    for name in ("descriptors", "threads", "processes"):
        assert after[name] <= before[name] + 1, name
    assert after["files"] <= before["files"] + 2  # the log may have been rotated
    # What Python's allocator holds moves by some pages in a small process.
    assert after["daemon_KiB"] <= 1.05 * before["daemon_KiB"] + 1024


def _ask(directory: Path, reader: Reader, prefix: str, count: int) -> None:
    """One in twenty fails, and a few run too long, which costs the worker its life."""
    ids = [f"{prefix}{number}" for number in range(count)]
    had = len(reader.answers)
    for number, comp_id in enumerate(ids):
        if number % 2000 == 1999:
            put(directory, comp_id, "spin", deadline=0.2)
        else:
            put(directory, comp_id, "fail x" if number % 20 == 19 else "number 1", in_place=number % 2 == 0, deadline=3600)
        if len(reader.answers) <= had + number - AHEAD:
            _until(reader, had + number - AHEAD)
    assert reader.until(ids) == set()


def _until(reader: Reader, count: int) -> None:
    until(lambda: len(reader.answers) > count, "answers come", seconds=LONG)


def _state(ground: Ground, directory: Path) -> dict[str, int]:
    daemon = ground.daemon
    status = Path(f"/proc/{daemon}/status").read_text().splitlines()
    return {
        "descriptors": descriptors_of(daemon),
        "threads": len(os.listdir(f"/proc/{daemon}/task")),
        "processes": len(ground.marked()),
        "files": sum(len(files) for top in (ground.home.data_dir, directory) for _, _, files in os.walk(top)),
        "daemon_KiB": next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")),
    }
