"""No event is trusted: what becomes of directories, and of inotify itself, all is answered."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import (
    HELD_UP,
    LATE,
    LONG,
    Ground,
    Reader,
    descriptors_of,
    injected,
    mount,
    need_root,
    put,
    unmount,
)
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soak.table import Row


@pytest.mark.usefixtures("in_memory")
def test_questions_of_four_writers(ground: Ground, row: Row) -> None:
    """Four writers ask as fast as they can, while the directory of one of them is moved away and back all the time.

    Those of ``test_nothing_leaks`` are as fast.
    """
    ground.launch(noted=False)
    directories = ground.nodes(4)
    each = portion(15_000, shared=True)
    moved = directories[3]
    moves = 0
    held_up: set[str] = set()
    with Reader(*directories) as reader:
        threads = [
            threading.Thread(target=_write, args=(directory, f"w{number}-", each, number % 2 == 0, held_up), daemon=True)
            for number, directory in enumerate(directories)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            away = moved.with_name("away")
            moved.rename(away)
            time.sleep(0.02)
            away.rename(moved)
            moves += 1
            threads[3].join(0.5)
        asked = [f"w{number}-{question}" for number in range(4) for question in range(each)]
        lost = reader.until(asked, seconds=2 * LONG)
    wrong = [
        comp_id for comp_id in asked if comp_id not in lost | held_up and reader.value(comp_id) != int(comp_id.partition("-")[2])
    ]
    row(
        "no event is trusted: every question of four writers is answered once, while a directory is moved away and back",
        questions=len(asked),
        lost=len(lost),
        torn=len(reader.torn),
        wrong_or_twice=len(wrong) + len(reader.twice()),
        moves_of_a_directory=moves,
        held_up_by_the_machine=len(held_up),
    )
    assert (len(lost), reader.torn, wrong, reader.twice()) == (0, [], [], [])


def _write(directory: Path, prefix: str, count: int, in_place: bool, held_up: set[str]) -> None:
    for number in range(count):
        while True:
            try:
                if put(directory, f"{prefix}{number}", f"number {number}", in_place=in_place) >= HELD_UP:
                    held_up.add(f"{prefix}{number}")
            except FileNotFoundError:  # it is away
                time.sleep(0.005)
            else:
                break


def _remove(directory: Path, _number: int) -> None:
    away = directory.with_name("removed")
    directory.rename(away)
    if away.is_symlink():
        away.unlink()
    else:
        shutil.rmtree(away)
    directory.mkdir()


def _rob(directory: Path, number: int) -> None:
    (directory / ".nectar").rename(directory.parent / f"robbed-{number}")


def _move(directory: Path, number: int) -> None:
    directory.rename(directory.with_name(f"moved-{number}"))
    directory.mkdir()


def _replace(directory: Path, number: int) -> None:
    new = directory.with_name(f"new-{number}")
    new.mkdir()
    directory.rename(directory.with_name(f"old-{number}"))
    new.rename(directory)


def _link(directory: Path, number: int) -> None:
    real = directory.with_name(f"real-{number}")
    real.mkdir()
    directory.rename(directory.with_name(f"before-{number}"))
    directory.symlink_to(real)


def _away_and_back(directory: Path, number: int) -> None:
    away = directory.with_name(f"back-{number}")
    directory.rename(away)
    time.sleep(1.2 if number % 2 else 0)
    away.rename(directory)


CHANGES = (_remove, _rob, _move, _replace, _link, _away_and_back)


def test_a_directory_that_becomes_another(ground: Ground, row: Row) -> None:
    ground.launch(noted=False)
    directories = ground.nodes(2)
    rounds = portion(200, least=2 * len(CHANGES))
    tell = _changed(directories, rounds, lambda directory, number: CHANGES[number // 2 % len(CHANGES)](directory, number))
    row("a directory is removed, robbed, moved, replaced, linked: what lies at the path is answered, within 1.5 s", **tell)
    assert (tell["missing"], tell["wrong_or_twice"]) == (0, 0)
    assert float(str(tell["latest_s"])) < LATE


def test_a_directory_under_a_mount(ground: Ground, row: Row) -> None:
    need_root()
    ground.launch(noted=False)
    directory = ground.node()
    other = directory.with_name("other")
    other.mkdir()

    def change(directory: Path, number: int) -> None:
        match number % 4:
            case 0:
                mount(directory, "-o", "size=1m")
            case 2:
                mount(directory, "--bind", kind="", source=str(other))
            case _:
                unmount(directory)

    try:
        tell = _changed([directory], portion(40, least=4), change)
    finally:
        for _ in range(4):
            unmount(directory)
    row("a directory is mounted over, bound, and unmounted: what lies at the path is answered, within 1.5 s", **tell)
    assert (tell["missing"], tell["wrong_or_twice"]) == (0, 0)
    assert float(str(tell["latest_s"])) < LATE


def _changed(directories: list[Path], rounds: int, change: Callable[[Path, int], None]) -> dict[str, object]:
    """Change something in each, ask at once, and see how long the answers take; again and again."""
    chance = random.Random(3)
    latest, asked, missing = 0.0, 0, set[str]()
    with Reader(*directories) as reader:
        for first in range(0, rounds, len(directories)):
            begun: dict[str, float] = {}
            for number, directory in enumerate(directories, first):
                change(directory, number)
                now = time.monotonic()
                for question in range(chance.randint(1, 3)):
                    put(directory, f"q{number}-{question}", "number 77", in_place=chance.random() < 0.5)
                    begun[f"q{number}-{question}"] = now
            asked += len(begun)
            missing |= reader.until([*begun], seconds=2 * LATE)
            latest = max([latest, *(reader.at[comp_id] - begun[comp_id] for comp_id in begun if comp_id in reader.at)])
        wrong = [comp_id for comp_id in reader.answers if reader.value(comp_id) != 77]
    return {
        "rounds": rounds,
        "questions": asked,
        "missing": len(missing),
        "wrong_or_twice": len(wrong) + len(reader.twice()) + len(reader.torn),
        "latest_s": latest,
    }


def test_what_hears_cannot_be_read_any_more(ground: Ground, row: Row) -> None:
    """strace makes the next read of it fail."""
    ground.launch(noted=False)
    directory = ground.node()
    failures = portion(20, least=2)
    daemon = ground.daemon
    descriptors = len(os.listdir(f"/proc/{daemon}/fd"))
    told = 0
    latest: list[float] = []
    with Reader(directory) as reader:
        for number in range(failures):
            until(lambda: _inotify(daemon) == "anon_inode:inotify", "something hears")
            with injected(daemon, "trace=read", "inject=read:error=EIO", only="anon_inode:inotify"):
                begun = time.monotonic()
                put(directory, f"d{number}", "number 1")
                until(lambda: ground.status()["watching"] == "rescans", "view says so")
                told += 1
            assert reader.until({f"d{number}"}) == set()
            latest.append(reader.at[f"d{number}"] - begun)
            until(lambda: ground.status()["watching"] == "events", "events come again")
            begun = time.monotonic()
            put(directory, f"e{number}", "number 1")
            assert reader.until({f"e{number}"}) == set()
    after = descriptors_of(daemon)
    row(
        "what hears cannot be read any more: all is answered within 1.5 s, view says so, and it is replaced",
        failures=failures,
        told_by_view=told,
        latest_s=max(latest),
        descriptors=f"{descriptors} to {after}",
    )
    assert max(latest) < LATE
    assert after <= descriptors + 1
    assert reader.twice() == []


def _inotify(pid: int) -> str | None:
    found = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    return next((target for target in found if "inotify" in target), None)


@pytest.mark.parametrize("what", ["instances", "watches"])
def test_no_inotify_at_all(ground: Ground, row: Row, what: str) -> None:
    """In a user namespace of its own, which may have none, and later some."""
    limit = f"/proc/sys/user/max_inotify_{what}"
    tried = subprocess.run(["unshare", "-Ur", "sh", "-c", f"echo 0 > {limit}"], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"inotify cannot be taken away here: {tried.stderr.strip()}")
    ground.launch(noted=False, wrap=["unshare", "-Ur", "sh", "-c", f'echo 0 > {limit} && exec "$@"', "sh"])
    directories = ground.nodes(2)
    count = portion(30, least=4)
    with Reader(*directories) as reader:
        without = _one_by_one(directories, reader, "w", count)
        said = ground.status()["watching"]
        with Path(f"/proc/{ground.daemon}/ns/user").open() as namespace:
            cure = ["nsenter", f"--user=/proc/self/fd/{namespace.fileno()}", "sh", "-c", f"echo 100 > {limit}"]
            cured = subprocess.run(cure, check=False, capture_output=True, text=True, pass_fds=[namespace.fileno()])
        if cured.returncode == 0:
            until(lambda: ground.status()["watching"] == "events", "events come")
        again = _one_by_one(directories, reader, "e", count)
    row(
        f"inotify has no {what} left: all is answered within 1.5 s, view says so, and events come when there are some again",
        questions=2 * count,
        latest_s=max(without),
        view_says=said,
        after_the_cure="events" if cured.returncode == 0 else "not tried",
        median_then_s=statistics.median(again),
    )
    assert said == "rescans"
    assert max(without) < LATE
    assert reader.twice() == []


def _one_by_one(directories: list[Path], reader: Reader, prefix: str, count: int) -> list[float]:
    times = []
    for number in range(count):
        begun = time.monotonic()
        put(directories[number % 2], f"{prefix}{number}", "number 1", in_place=number % 4 < 2)
        assert reader.until({f"{prefix}{number}"}) == set()
        times.append(reader.at[f"{prefix}{number}"] - begun)
    return times
