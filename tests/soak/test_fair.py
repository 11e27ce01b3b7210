"""Nobody waits for another alias's backlog, and a backlog takes no memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.testing.sample import sample
from tests.soak.ground import LATE, Ground, Reader, kill, put
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

FEW = 500
RUN_MS = 2


def test_a_backlog_delays_nobody_and_takes_no_memory(ground: Ground, row: Row) -> None:
    ground.launch(noted=False)
    busy, other = ground.nodes(2)
    whole, singles = portion(50_000, least=2 * FEW), portion(100, least=5)
    _backlog(busy, "f", FEW)
    with Reader(busy) as reader:
        assert reader.until({f"f{number}" for number in range(FEW)}) == set()
    small = _peak(ground.daemon)
    # It lies there when the daemon comes, so that all of it is one backlog.
    kill(ground.daemon)
    until(lambda: not ground.serves(), "it is dead")
    begun = time.monotonic()
    _backlog(busy, "b", whole)
    ground.world.run("start", ground.name)
    listing = time.monotonic() - begun
    waits = []
    with Reader(other) as reader:
        for number in range(singles):
            asked = time.monotonic()
            put(other, f"s{number}", "number 1", in_place=number % 2 == 0)
            assert reader.until({f"s{number}"}) == set()
            waits.append(reader.at[f"s{number}"] - asked)
        queue = ground.status()["queue"]
        peak = _peak(ground.daemon)
    row(
        "many questions wait at one alias: another waits for one run, its own and a listing; memory does not grow",
        backlog=whole,
        known_to_wait_at_the_end=queue,
        single_questions=singles,
        longest_ms=1000 * max(waits),
        median_ms=1000 * sorted(waits)[len(waits) // 2],
        peak_KiB=f"{peak} (with {FEW}: {small})",
        seconds_to_lay_it_out_and_start=listing,
    )
    assert max(waits) < LATE
    assert peak < small + 6 * 1024
    # What is left of it is of no interest; the daemon must not answer it while the world is taken down.
    ground.world.run("stop", ground.name, "--timeout", "0")


def test_slow_runs_leave_the_second_worker_to_others(ground: Ground, row: Row) -> None:
    ground.launch("--workers", "2", noted=False)
    slow, other = ground.nodes(2)
    count = portion(1000)
    names = {f"slow{number}" for number in range(5)}
    with Reader(slow, other) as reader:
        for name in names:
            put(slow, name, "spin", deadline=600)
        until(lambda: len(list(slow.glob("*.pending"))) < len(names), "one runs")
        waits = []
        for number in range(count):
            asked = time.monotonic()
            put(other, f"s{number}", "number 1", in_place=number % 2 == 0)
            assert reader.until({f"s{number}"}) == set()
            waits.append(reader.at[f"s{number}"] - asked)
        finished = names & set(reader.answers)
    row(
        "endless runs at one alias, with workers = 2, do not stop another alias",
        endless=len(names),
        questions=count,
        longest_ms=1000 * max(waits),
        median_ms=1000 * sorted(waits)[count // 2],
    )
    assert not finished
    assert max(waits) < LATE
    ground.world.run("stop", ground.name, "--timeout", "0")


def _backlog(directory: Path, prefix: str, count: int) -> None:
    raw = sample(f"work 1 {RUN_MS}").to_json()
    for number in range(count):
        (directory / f"{prefix}{number}.pending").write_bytes(raw)


def _peak(pid: int) -> int:
    """The most memory that a process has had, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
