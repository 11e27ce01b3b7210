"""Disks that are full, read-only or broken, and descriptors that run out: the daemon stays up, and goes on when it is over."""

from __future__ import annotations

import resource
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import LATE, LONG, Ground, Reader, injected, kill, mount, need_root, put, unmount
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.table import Row

FAILING = (
    ("openat", "EIO"),
    ("openat", "EMFILE"),
    ("renameat", "EIO"),
    ("renameat", "ENOSPC"),
    ("renameat2", "EIO"),
    ("write", "ENOSPC"),
    ("write", "EIO"),
    ("newfstatat", "EIO"),
    ("getdents64", "EIO"),
    ("fchmod", "EPERM"),
    ("fstat", "EIO"),
    ("unlinkat", "EROFS"),
)
CALM = 1.5
"""Seconds that a fault lasts: more than one round of the daemon's."""


class Trouble:
    """Asks while something is broken, at a node that it befalls and at another, and sees what comes of it."""

    def __init__(self, ground: Ground, befallen: Path, other: Path, reader: Reader) -> None:
        self.daemon = ground.daemon
        self.cured: list[float] = []
        self.meanwhile = 0
        self.asked: dict[str, int] = {}
        self._ground = ground
        self._befallen = befallen
        self._other = other
        self._reader = reader

    def ask(self, directory: Path, count: int, *, milliseconds: int = 0) -> set[str]:
        ids = set()
        for _ in range(count):
            number = len(self.asked)
            put(directory, f"q{number}", f"work {number} {milliseconds}", in_place=number % 2 == 0)
            self.asked[f"q{number}"] = number
            ids.add(f"q{number}")
        return ids

    @contextmanager
    def around(self, *, others: bool) -> Iterator[None]:
        """What is broken in the block is cured at its end.

        :param others: whether the other node can be answered all the while.
        """
        here = self.ask(self._befallen, 10, milliseconds=20)
        there = self.ask(self._other, 3)
        yield
        begun = time.monotonic()
        missing = self._reader.until(here | there, seconds=2 * LATE)
        assert missing == set(), f"{missing} of {sorted(here)} and {sorted(there)}"
        self.cured.append(max(0.0, *(self._reader.at[comp_id] - begun for comp_id in here)))

    def others_are_answered(self) -> None:
        ids = self.ask(self._other, 5)
        assert self._reader.until(ids) == set()
        self.meanwhile += len(ids)

    def tell(self) -> dict[str, object]:
        wrong = [comp_id for comp_id, number in self.asked.items() if self._reader.value(comp_id) != number]
        runs = self._ground.noted()
        lines = Counter(line.split(" ", 1)[1] for line in self._ground.log().splitlines() if " WARNING " in line)
        return {
            "questions": len(self.asked),
            "wrong_twice_or_torn": len(wrong) + len(self._reader.twice()) + len(self._reader.torn),
            "run_more_than_once": sum(1 for comp_id in self.asked if runs[comp_id] > 1),
            "most_lines_alike": max(lines.values(), default=0),
            "same_daemon": self._ground.daemon == self.daemon,
            "longest_s_from_cure_to_answer": max(self.cured),
        }


def test_a_disk_that_is_full_or_read_only(ground: Ground, row: Row) -> None:
    need_root()
    ground.launch()
    befallen, other = (ground.world.node(alias) for alias in ("small", "other"))
    mount(befallen, "-o", "size=256k")
    try:
        ground.world.run("attach", ground.name, "small", "other")
        begun = time.monotonic()
        rounds = portion(20, least=2)
        with Reader(befallen, other) as reader:
            trouble = Trouble(ground, befallen, other, reader)
            for number in range(rounds):
                if number % 2:
                    with trouble.around(others=True):
                        mount(befallen, "-o", "remount,ro")
                        trouble.others_are_answered()
                        time.sleep(CALM)
                        mount(befallen, "-o", "remount,rw")
                else:
                    filler = befallen / "filler"
                    with trouble.around(others=True):
                        _fill(filler)
                        trouble.others_are_answered()
                        time.sleep(CALM)
                        _fill(filler)  # what the daemon gave back meanwhile
                        filler.unlink()
            tell = trouble.tell()
        row(
            "a node's disk is full or read-only: others are answered, and its own questions within 2 s of the cure",
            faults=rounds,
            answered_meanwhile=trouble.meanwhile,
            **tell,
        )
        _assert_well(tell, time.monotonic() - begun)
        assert tell["run_more_than_once"] == 0
        ground.world.run("detach", ground.name, "small")
    finally:
        unmount(befallen)


@pytest.mark.parametrize(("call", "error"), FAILING[: portion(len(FAILING), least=4)])
def test_calls_that_fail(ground: Ground, row: Row, call: str, error: str) -> None:
    """strace has each such call of the daemon's fail for a while."""
    ground.launch()
    befallen, other = ground.nodes(2)
    begun = time.monotonic()
    with Reader(befallen, other) as reader:
        trouble = Trouble(ground, befallen, other, reader)
        with trouble.around(others=False), injected(trouble.daemon, f"trace={call}", f"inject={call}:error={error}"):
            trouble.ask(befallen, 3)
            time.sleep(CALM)
        assert reader.until(set(trouble.asked)) == set()
        tell = trouble.tell()
    row(f"each {call} of the daemon's fails for a while with {error}: it stays, and goes on within 2 s", **tell)
    _assert_well(tell, time.monotonic() - begun)


def test_no_descriptor_left(ground: Ground, row: Row) -> None:
    ground.launch()
    befallen, other = ground.nodes(2)
    begun = time.monotonic()
    rounds = portion(10, least=2)
    with Reader(befallen, other) as reader:
        trouble = Trouble(ground, befallen, other, reader)
        before = resource.prlimit(trouble.daemon, resource.RLIMIT_NOFILE)
        for _ in range(rounds):
            with trouble.around(others=False):
                resource.prlimit(trouble.daemon, resource.RLIMIT_NOFILE, (3, before[1]))
                trouble.ask(befallen, 3)
                viewing = ground.world.begin("view")
                time.sleep(CALM)
                resource.prlimit(trouble.daemon, resource.RLIMIT_NOFILE, before)
                viewing.communicate(timeout=LONG)
        assert reader.until(set(trouble.asked)) == set()
        tell = trouble.tell()
        lines = len(ground.log().splitlines())
        for _ in range(rounds):  # the end of a worker has to be dealt with, too
            until(lambda: [worker["state"] for worker in ground.status()["workers"]] == ["idle"], "a worker is idle", seconds=LONG)
            resource.prlimit(trouble.daemon, resource.RLIMIT_NOFILE, (3, before[1]))
            for pid in ground.workers(trouble.daemon):
                kill(pid)
            time.sleep(CALM)
            resource.prlimit(trouble.daemon, resource.RLIMIT_NOFILE, before)
            trouble.others_are_answered()
    row("no descriptor is left for a while: the daemon stays, and goes on within 2 s", faults=rounds, lines_of_log=lines, **tell)
    _assert_well(tell, time.monotonic() - begun)
    assert ground.daemon == trouble.daemon
    assert lines < 100 + 3 * len(trouble.asked)


def test_a_full_data_dir(ground: Ground, row: Row) -> None:
    """The registry, the log and the sockets have no room: commands say so and change nothing, but a stop is a stop."""
    need_root()
    home = ground.home
    kept = ground.world.directory / "kept"
    kept.mkdir()
    large = (home.envs, home.runtimes)
    for path in large:
        path.rename(kept / path.name)
    mount(home.nectar, "-o", "size=512k,mode=700")
    try:
        for path in large:
            path.mkdir()
            mount(path, "--bind", kind="", source=str(kept / path.name))
        ground.launch()
        directory = ground.node()
        ground.world.node("spare")
        rounds = portion(10)
        wrong = []
        with Reader(directory) as reader:
            for number in range(rounds):
                before = home.registry.read_bytes()
                filler = home.nectar / "filler"
                _fill(filler)
                for verb in ("attach", "detach"):
                    alias = "spare" if verb == "attach" else directory.parts[-3]
                    refused = ground.world.run(verb, ground.name, alias, code=None)
                    if refused.returncode == 0 or "space" not in refused.stderr:
                        wrong.append(f"{verb}: {refused.returncode} {refused.stderr}")
                if home.registry.read_bytes() != before:
                    wrong.append("the registry has changed")
                put(directory, f"q{number}", "number 1")
                if reader.until({f"q{number}"}):
                    wrong.append(f"q{number} is not answered")
                stopped = ground.world.run("stop", ground.name, code=None)
                if ground.marked() or ground.serves():
                    wrong.append(f"stop: {stopped.returncode} {stopped.stderr}")
                put(directory, f"later{number}", "number 1")
                filler.unlink()
                ground.world.run("start", ground.name)
                if reader.until({f"later{number}"}):
                    wrong.append(f"later{number} is not answered")
        row(
            "a full data dir: commands say so and change nothing, questions are answered, and a stop is a stop",
            rounds=rounds,
            commands_refused=2 * rounds,
            stops=rounds,
            wrong=len(wrong),
        )
        assert wrong == []
        ground.world.run("stop", ground.name)
    finally:
        for path in (*large, home.nectar):
            unmount(path)
        for path in large:
            (kept / path.name).rename(path)


def _assert_well(tell: dict[str, object], seconds: float) -> None:
    assert tell["wrong_twice_or_torn"] == 0
    assert tell["same_daemon"] is True
    assert float(str(tell["longest_s_from_cure_to_answer"])) < LATE
    # The same once a minute; the other node's name makes it another one.
    assert int(str(tell["most_lines_alike"])) <= 2 + seconds / 60


def _fill(path: Path) -> None:
    """Take all the room that there is."""
    until(lambda: _filled(path), "the disk is full")


def _filled(path: Path) -> bool:
    with path.open("ab", buffering=0) as file:
        try:
            for size in (65536, 4096, 1):
                while True:
                    try:
                        file.write(b"\0" * size)
                    except OSError:
                        break
        except OSError:
            pass
    return True
