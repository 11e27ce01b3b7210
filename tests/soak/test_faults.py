"""What goes wrong inside the daemon itself: it costs what it happened to, and where there is no end of it, another daemon takes over."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import LATE, LONG, Ground, Reader, gone, injected, kill, put
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

CALLS = (
    ("epoll_ctl", "ENOMEM"),
    ("read", "ENOMEM"),
    ("write", "ENOMEM"),
    ("accept4", "ENOMEM"),
    ("waitid", "EINVAL"),
    ("renameat", "EIO"),
    ("renameat2", "EIO"),
    ("read", "ESTALE"),
)
PAGE = resource.getpagesize()


@pytest.mark.parametrize(("call", "error"), CALLS[: portion(len(CALLS), least=4)])
def test_some_calls_fail(ground: Ground, row: Row, call: str, error: str) -> None:
    """Every seventh call of a kind fails, while questions come and workers die."""
    ground.launch("--workers", "2")
    first, other = ground.nodes(2)
    daemon, asked = ground.daemon, {}
    with Reader(first, other) as reader:
        with injected(daemon, f"trace={call}", f"inject={call}:error={error}:when=5+7"):
            for number in range(portion(300)):
                directory = (first, other)[number % 2]
                put(directory, f"q{number}", f"work {number} 1", in_place=number % 3 == 0)
                asked[f"q{number}"] = number
                if number % 15 == 5:
                    for worker in ground.workers(daemon):
                        kill(worker)
                    until(lambda: len(reader.answers) >= number - 10, "workers are replaced", seconds=LONG)  # noqa: B023
            early = len(asked) - len(reader.until(set(asked), seconds=5))
        begun = time.monotonic()
        missing = reader.until(set(asked))
        took = time.monotonic() - begun
    answers = [reader.answers[comp_id] for comp_id in asked]
    wrong = sum(len(each) != 1 for each in answers)
    foreign = sum(
        each[0]["status"] == "success" and each[0]["result"]["value"] != number for number, each in enumerate(answers) if each
    )
    row(
        f"each seventh {call} of the daemon's fails with {error}, while workers die: each question has one answer, its own",
        questions=len(asked),
        answered_before_it_was_over=early,
        missing=len(missing),
        wrong_or_twice=wrong + foreign,
        seconds_to_the_last=f"{took:.2f}",
        same_daemon=ground.serves() and ground.daemon == daemon,
    )
    assert missing == set()
    assert wrong + foreign == 0
    # A daemon that failed too often is followed by another, here by hand.
    assert ground.serves()


def test_a_daemon_without_end_of_failures_ends(ground: Ground, row: Row) -> None:
    """More than twenty exceptions in a minute: it stops, says so, and is known as one that should run."""
    ground.launch()
    directory = ground.node()
    daemon = ground.daemon
    put(directory, "before", "number 1")
    until((directory / "before.complete").exists, "the first answer")
    output = ground.world.directory / "trace"
    with injected(daemon, "trace=epoll_wait", "inject=epoll_wait:error=ENOMEM", output=output):
        put(directory, "meanwhile", "number 2")
        # strace tells of it a moment after there is none any more, and not at all where it is ended before.
        until(lambda: gone(daemon) and "+++" in output.read_text(), "it has ended", seconds=LONG)
    trace = output.read_text()
    record = ground.world.registry()[ground.name]
    told = "Cannot allocate memory" in ground.log()
    view = ground.world.run("view").stdout
    ground.world.run("start", ground.name)
    until((directory / "meanwhile.complete").exists, "the next daemon answers", seconds=LONG)
    row(
        "a daemon that fails again and again ends with 70, with a traceback in its log, as one that should run",
        exit_code_70="exited with 70" in trace,
        told=told,
        desired=record["desired"],
    )
    assert "exited with 70" in trace
    assert told
    assert record["desired"] == "running"
    assert "dead" in view


def test_too_little_memory_for_one_question(ground: Ground, row: Row) -> None:
    """The daemon has no memory for a large question of one alias: the other is answered all the while, and that one afterwards."""
    ground.launch()
    large, other = ground.nodes(2)
    daemon = ground.daemon
    for directory in (large, other):
        put(directory, "before", "number 1")
        until((directory / "before.complete").exists, "the first answer")
    size = int(Path(f"/proc/{daemon}/statm").read_text().split()[0]) * PAGE
    before = resource.prlimit(daemon, resource.RLIMIT_AS)
    resource.prlimit(daemon, resource.RLIMIT_AS, (size + (1 << 20), before[1]))
    put(large, "large", f"length {'y' * 1_900_000}")
    until(lambda: "MemoryError" in ground.log(), "it fails", seconds=LONG)
    slowest = 0.0
    for number in range(portion(50)):
        begun = time.monotonic()
        put(other, f"q{number}", f"number {number}")
        until((other / f"q{number}.complete").exists, "an answer meanwhile", seconds=LONG)
        slowest = max(slowest, time.monotonic() - begun)
    problem = ground.status()["aliases"][large.parts[-3]]["problem"]
    resource.prlimit(daemon, resource.RLIMIT_AS, before)
    begun = time.monotonic()
    until((large / "large.complete").exists, "the large one is answered", seconds=LONG)
    row(
        "one alias's question takes more memory than the daemon has: another is answered meanwhile, and that one when there is some",
        same_daemon=ground.daemon == daemon,
        slowest_meanwhile_ms=round(1000 * slowest),
        seconds_from_cure_to_answer=f"{time.monotonic() - begun:.1f}",
    )
    assert ground.daemon == daemon
    assert slowest < LATE
    assert problem is None or "tried again" in problem


def test_many_orphans_that_spin(ground: Ground, row: Row) -> None:
    """What one question left, however much it is, holds no other question up."""
    ground.launch("--workers", "2")
    busy, other = ground.nodes(2)
    count = portion(120)
    deadline = 1 + count / 120  # the more there are, the longer it takes to begin them all
    begun = time.monotonic()
    put(busy, "many", f"spinners {count}", deadline=deadline)
    slowest, number = 0.0, 0
    while not (busy / "many.complete").exists():
        asked = time.monotonic()
        put(other, f"q{number}", f"number {number}")
        until((other / f"q{number}.complete").exists, "an answer meanwhile", seconds=LONG)
        slowest = max(slowest, time.monotonic() - asked)
        number += 1
    took = time.monotonic() - begun
    until(lambda: len(ground.marked()) <= 2 * ground.usual, "no orphan is left", seconds=LONG)
    row(
        "processes that a question left and that spin in sessions of their own: its timeout comes in time, and others are answered",
        processes=count,
        seconds_to_a_timeout=f"{took:.1f} of {deadline:.1f}",
        slowest_meanwhile_ms=round(1000 * slowest),
    )
    assert took < LATE
    assert slowest < LATE
