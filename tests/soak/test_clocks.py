"""A wrong clock, a jump of hours, another time zone: they change nothing but what a person reads."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from nectar.runtime.daemon.aliases.rescan import Age
from nectar.runtime.daemon.aliases.waiting import BATCH
from nectar.spool.spool import STILL
from nectar.testing.sample import sample
from tests.soak.ground import LATE, Ground, Reader, put
from tests.soak.table import portion
from tests.units.test_age import Clock
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

JUMP = 30 * 3600
KEPT = 6
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead(void) {
    char text[32] = {0};
    int file = open(getenv("CLOCK"), O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(which, now);
    if (which == CLOCK_REALTIME) now->tv_sec += ahead();
    return status;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
"""


def test_a_clock_that_jumps(ground: Ground, row: Row) -> None:
    """The daemon's clock is one of our making, which is set while it runs; the files' times are the machine's."""
    directory = ground.world.directory
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no compiler to make a clock with")
    (directory / "clock.c").write_text(CLOCK)
    clock = directory / "clock"
    clock.write_text("0")
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", directory / "clock.so", directory / "clock.c", "-ldl"],
        check=False,
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip("a clock cannot be compiled here")
    settings: dict[str, object] = {"keep_answers": KEPT, "expired": "skip"}
    ground.launch("--env", f"LD_PRELOAD={directory / 'clock.so'}", "--env", f"CLOCK={clock}", settings=settings)
    node = ground.node()
    jumps, waits, still = portion(12, least=3), [], []
    asked: list[str] = []
    kept = [node / f"kept{jump}.complete" for jump in range(jumps)]
    reader = Reader(node)
    reader.leave = {path.name for path in kept}
    with reader, _Removals(kept) as removals:
        for jump in range(jumps):
            removals.begin(kept[jump])
            put(node, f"kept{jump}", "number 5")
            removals.until(jump + 1)
            aside = clock.with_suffix(".new")
            aside.write_text(str((JUMP, -JUMP, 0)[jump % 3]))
            aside.rename(clock)
            for number in range(20):
                asked.append(f"q{jump}-{number}")
                begun = time.monotonic()
                put(node, asked[-1], "number 5", in_place=number % 2 == 0)
                assert reader.until({asked[-1]}) == set()
                waits.append(reader.at[asked[-1]] - begun)
            begun = time.monotonic()
            (node / f"half{jump}.pending").write_bytes(sample("x").to_json()[:-20])
            assert reader.until({f"half{jump}"}) == set()
            still.append(reader.at[f"half{jump}"] - begun)
    wrong = [comp_id for comp_id in asked if reader.value(comp_id) != 5]
    early = [path.name for path, seconds in removals.lived.items() if seconds < KEPT - 1]
    row(
        "a clock that jumps by 30 h, either way: answers come at once, none is removed early",
        jumps=jumps,
        questions=len(asked),
        wrong_or_twice=len(wrong) + len(reader.twice()),
        median_ms=1000 * statistics.median(waits),
        longest_ms=1000 * max(waits),
        half_written_s=f"{min(still):.2f} to {max(still):.2f}",
        kept_for_s=KEPT,
        removed=len(removals.lived),
        removed_early=len(early),
    )
    assert (wrong, reader.twice(), early) == ([], [], [])
    assert max(waits) < LATE
    assert min(still) >= STILL


class _Removals:
    """Sees how long files are there; a thread of its own.

    :ivar lived: seconds that each was there which is no more.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.lived: dict[Path, float] = {}
        self._begun: dict[Path, float] = {}
        self._since: dict[Path, float] = {}
        self._paths = paths
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self, path: Path) -> None:
        """It can be there from now on, and is not said to have lived for less than it has."""
        self._begun[path] = time.monotonic()

    def until(self, count: int) -> None:
        """Wait until so many have come."""
        until(lambda: len(self._since) == count, "an answer that nobody reads")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(0.01):
            for path in self._paths:
                if path.exists():
                    self._since.setdefault(path, self._begun[path])
                elif path in self._since:
                    self.lived.setdefault(path, time.monotonic() - self._since[path])


def test_nothing_looks_older_than_it_is(row: Row) -> None:
    """The age that decides on an old answer's removal, over days of a clock that is set at will."""
    keep, rounds, early, late = 3600.0, portion(1000), 0, 0.0
    chance = random.Random(41)
    for _ in range(rounds):
        clock, written = Clock(), [(0.0, Clock.BEGUN)]
        age = Age(clock.monotonic, clock.wall)
        for _ in range(200):
            clock.now += chance.choice((1.0, 60.0, 600.0))
            clock.ahead += chance.choice((0, 0, 0, 0, 30 * 3600, -30 * 3600, 0.3, -0.3))
            young = age.now(keep)
            for when, stamp in written:
                early += young - stamp >= keep and clock.now - when < keep - 1
            written = [(when, stamp) for when, stamp in written if young - stamp < keep]
            written.append((clock.now, clock.wall()))
        # The clock is right from here on: at last all of them go, but those that were written in what is now the future.
        for _ in range(100):
            clock.now += 60.0
            young = age.now(keep)
        due = [when for when, stamp in written if young - stamp < keep and stamp <= clock.wall() - keep]
        late = max([late, *(clock.now - when for when in due)])
    row("however a clock is set, no answer is removed before its time", runs=rounds, removed_early=early, longest_kept_s=late)
    assert early == 0


def test_time_zones(ground: Ground, row: Row) -> None:
    ground.launch(noted=False)
    node = ground.node()
    rounds = portion(20, least=2)
    zones = ["Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu", "UTC", "XYZ-13:37"]
    wrong, shown = 0, set()
    with Reader(node) as reader:
        for number in range(rounds):
            zone = zones[number % len(zones)]
            ground.world.run("stop", ground.name, env={"TZ": zones[number % 3]})
            put(node, f"w{number}", "number 1")
            ground.world.run("start", ground.name, env={"TZ": zone})
            put(node, f"q{number}", "number 1")
            missing = reader.until({f"w{number}", f"q{number}"})
            started = [ground.world.run("view", env={"TZ": each}).stdout for each in ("UTC", "Pacific/Kiritimati")]
            shown.add(started[0] != started[1])
            wrong += len(missing)
    row("another time zone, of a command or of a daemon, changes what is read and nothing else", restarts=rounds, wrong=wrong)
    assert wrong == 0
    assert reader.twice() == []
    assert True in shown


def test_times_of_questions(ground: Ground, row: Row) -> None:
    """Files from 1970 and from 2100, and time stamps of a proposer whose clock is off."""
    ground.launch(noted=False, settings={"log_each": True})
    node = ground.node()
    chance = random.Random(42)
    count = portion(2000)
    waits, asked = [], []
    with Reader(node) as reader:
        for number in range(count):
            comp_id = f"q{number}"
            raw = sample("number 5", comp_id=comp_id, timestamp=chance.choice((-1e9, 0.0, 1e18, time.time() - JUMP))).to_json()
            aside = node / "aside"
            aside.write_bytes(raw)
            stamp = chance.choice((0, 1, 4_102_444_800, int(time.time()) + JUMP, int(time.time()) - JUMP))
            os.utime(aside, (stamp, stamp))
            begun = time.monotonic()
            aside.rename(node / f"{comp_id}.pending")
            asked.append(comp_id)
            assert reader.until({comp_id}) == set()
            waits.append(reader.at[comp_id] - begun)
    wrong = [comp_id for comp_id in asked if reader.value(comp_id) != 5]
    in_order = _backlog_order(ground, node, portion(300, least=20))
    row(
        "whatever the times of a question are, it is answered at once, and a backlog oldest first",
        questions=count,
        wrong_or_twice=len(wrong) + len(reader.twice()),
        median_ms=1000 * statistics.median(waits),
        longest_ms=1000 * max(waits),
        backlog_in_order=in_order,
    )
    assert (wrong, reader.twice()) == ([], [])
    assert max(waits) < LATE
    assert in_order


@pytest.mark.usefixtures("in_memory")
def test_questions_that_are_too_old(ground: Ground, row: Row) -> None:
    """What is skipped is what has really waited longer than its deadline, or was found so when the daemon came."""
    ground.launch(settings={"expired": "skip"})
    node = ground.node()
    hour_ago, ahead = time.time() - 3600, time.time() + JUMP
    rounds = portion(20, least=2)
    run, skipped = ["first"], []
    with Reader(node) as reader:
        put(node, "first", "number 5")
        assert reader.until(run) == set()  # until then, what comes may be found as what was there before
        for number in range(rounds):
            for kind, stamp in (("old", hour_ago), ("young", ahead), ("timeless", 0.0)):
                run.append(f"served-{kind}{number}")
                _ask(node, run[-1], stamp)
            assert reader.until(run) == set()
        _ask(node, "busy", hour_ago, "work 5 5000")
        ground.until_begun("busy")  # which a loaded machine may tell a second later
        _ask(node, "waited", ahead, deadline=0.5)
        skipped.append("waited")
        assert reader.until({"busy", "waited"}) == set()
        ground.world.run("stop", ground.name)
        for kind, stamp in (("now", time.time() + 1), ("young", ahead), ("timeless", 0.0)):
            run.append(f"found-{kind}")
            _ask(node, run[-1], stamp, deadline=3600)
        # The one that is oldest keeps the worker, so that what is asked next finds more waiting than is kept in mind.
        _ask(node, "again", hour_ago - 1e6, "work 5 3000", deadline=1e9)
        for number in range(BATCH + 200):
            skipped.append(f"found-old{number}")
            _ask(node, skipped[-1], hour_ago)
        ground.world.run("start", ground.name)
        ground.until_begun("again")
        for number in range(rounds):
            run.append(f"behind-old{number}")
            _ask(node, run[-1], hour_ago, deadline=3600)
        assert reader.until([*run, *skipped]) == set()
    not_run = [comp_id for comp_id in run if reader.value(comp_id) != 5]
    runs = ground.noted()
    not_skipped = [comp_id for comp_id in skipped if reader.answers[comp_id][0]["status"] != "timeout" or runs[comp_id]]
    row(
        'expired = "skip": what came while it was served is as old as its arrival, what was found is as old as its file',
        to_be_run=len(run),
        not_run=len(not_run),
        to_be_skipped=len(skipped),
        not_skipped=len(not_skipped),
    )
    assert (not_run, not_skipped, reader.twice()) == ([], [], [])


def _ask(node: Path, comp_id: str, stamp: float, query: str = "number 5", *, deadline: float = 30) -> None:
    aside = node / "aside"
    aside.write_bytes(sample(query, comp_id=comp_id, deadline=deadline).to_json())
    os.utime(aside, (stamp, stamp))
    aside.rename(node / f"{comp_id}.pending")


def _backlog_order(ground: Ground, node: Path, count: int) -> bool:
    ground.world.run("detach", ground.name, node.parts[-3])
    numbers = list(range(count))
    random.Random(43).shuffle(numbers)
    for number in numbers:
        put(node, f"b{number:05}", "number 1")
        os.utime(node / f"b{number:05}.pending", (1e6 + number, 1e6 + number))
    before = len(ground.log().splitlines())
    ground.world.run("attach", ground.name, node.parts[-3])
    with Reader(node) as reader:
        assert reader.until({f"b{number:05}" for number in numbers}) == set()
    told = [line.split()[3].rstrip(":") for line in ground.log().splitlines()[before:] if " success " in line]
    return told == sorted(told)
