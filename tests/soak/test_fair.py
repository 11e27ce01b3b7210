"""Nobody waits for another alias's backlog, and a backlog takes no memory."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.testing.sample import sample
from tests.soak.ground import LATE, LONG, Ground, Reader, kill, put
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


def test_a_directory_full_of_other_files_delays_nobody(ground: Ground, row: Row) -> None:
    """Each second something changes in it, so that it is listed again and again. In slices, as ``tests/units/test_scans.py`` has it."""
    ground.launch(noted=False)
    full, other = ground.nodes(2)
    files, singles = portion(100_000, least=5000, shared=True), portion(200, least=20)
    for number in range(files):
        (full / f"x{number}").touch()
    waits: dict[Path, list[float]] = {full: [], other: []}
    with Reader(other) as reader:
        for number in range(singles):
            (full / f"changed{number}").touch()
            asked = time.monotonic()
            put(other, f"s{number}", "number 1", in_place=number % 2 == 0)
            assert reader.until({f"s{number}"}) == set()
            waits[other].append(reader.at[f"s{number}"] - asked)
            asked = time.monotonic()
            put(full, f"f{number}", "number 1", in_place=number % 2 == 0)
            until((full / f"f{number}.complete").exists, "it is answered too", seconds=LONG)
            waits[full].append(time.monotonic() - asked)
    row(
        "a directory full of other files: it is listed in slices, and nobody waits for that",
        files=files,
        single_questions=singles,
        longest_ms_of_another=1000 * max(waits[other]),
        longest_ms_of_its_own=1000 * max(waits[full]),
    )
    assert max(map(max, waits.values())) < LATE


def test_what_cannot_be_run_delays_nobody(ground: Ground, row: Row) -> None:
    """Torn questions that are written again and again, links, old files with many names, obstacles to answers."""
    ground.launch(settings={"keep_answers": 2}, noted=False)
    busy, other = ground.nodes(2)
    few, many = portion(20, least=5), portion(3000, least=300)
    large = b"{" + 1_900_000 * b" "
    links = busy.parent / "links"
    links.mkdir()
    (links / "one").write_bytes(large)
    for number in range(many):
        os.link(links / "one", busy / f"old{number}.complete")
        (busy / f"link{number}.pending").symlink_to("/etc/hostname")
        (busy / f"way{number}.complete").mkdir()
        put(busy, f"way{number}", "number 1")
    ending = threading.Event()

    def tear() -> None:
        while not ending.is_set():
            for number in range(few):
                with (busy / f"torn{number}.pending").open("wb") as file:
                    file.write(large)
            ending.wait(0.1)

    tearing = threading.Thread(target=tear)
    tearing.start()
    waits = []
    try:
        until(lambda: not list(busy.glob("way*.pending")), "all that can be run has been run", seconds=LONG)
        with Reader(other) as reader:
            for number in range(portion(200)):
                asked = time.monotonic()
                put(other, f"s{number}", "number 1", in_place=number % 2 == 0)
                assert reader.until({f"s{number}"}) == set()
                waits.append(reader.at[f"s{number}"] - asked)
                time.sleep(0.1)
    finally:
        ending.set()
        tearing.join()
    row(
        "torn questions of 2 MB, links, answers in the way and old files with many names at one alias: another one does not wait",
        torn=few,
        links_and_files_in_the_way=3 * many,
        single_questions=len(waits),
        longest_ms=1000 * max(waits),
        median_ms=1000 * sorted(waits)[len(waits) // 2],
    )
    assert max(waits) < LATE
    ground.world.run("stop", ground.name, "--timeout", "0")


def test_slow_runs_leave_the_second_worker_to_others(ground: Ground, row: Row) -> None:
    ground.launch("--workers", "2", noted=False)
    slow, other = ground.nodes(2)
    count = portion(1000)
    names = {f"slow{number}" for number in range(5)}
    with Reader(slow, other) as reader:
        for name in names:
            put(slow, name, "work 1 600000", deadline=900)
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
