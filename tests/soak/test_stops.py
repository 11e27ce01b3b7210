"""A stop is a stop: nothing is lost by it, it ends in time, and it touches nobody else."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak.ground import HELD_UP, LONG, Ground, Reader, gone, kill, put
from tests.soak.table import portion
from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from tests.soak.table import Row

SLACK = 60.0
"""Seconds more than was promised, that a machine with other things to do may take."""


def test_stops_and_restarts_under_load(ground: Ground, row: Row) -> None:
    """Asked continuously; in some rounds a run outlasts ``stop_timeout`` and is ended."""
    ground.launch("--workers", "2", settings={"stop_timeout": 4})
    directory, slow = ground.nodes(2)
    rounds = portion(50, least=3)
    asked: dict[str, int] = {}
    held_up: set[str] = set()
    ending = threading.Event()

    def write() -> None:
        while not ending.is_set():
            number = len(asked)
            asked[f"q{number}"] = number
            if put(directory, f"q{number}", f"work {number} 5", in_place=number % 2 == 0) >= HELD_UP:
                held_up.add(f"q{number}")
            time.sleep(0.02)

    outlasting = restarts = 0
    with Reader(directory, slow) as reader:
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for number in range(rounds):
            time.sleep(0.2)
            if number % 2:
                ground.world.run("restart", ground.name)
                restarts += 1
                continue
            if number % 4 == 2:
                put(slow, f"s{number}", "work 1 60000", deadline=600)
                ground.until_begun(f"s{number}")
                outlasting += 1
            ground.world.run("stop", ground.name)
            assert not ground.marked()
            for path in [*(slow / ".nectar").iterdir()]:  # it has been cut off once, that is enough
                path.unlink()
            ground.world.run("start", ground.name)
        ending.set()
        writer.join()
        lost = reader.until(set(asked))
    began, ended = ground.noted("begin"), ground.noted("end")
    wrong = [comp_id for comp_id, number in asked.items() if comp_id not in lost | held_up and reader.value(comp_id) != number]
    repeated = [comp_id for comp_id in asked if ended[comp_id] > 1]
    row(
        "stop and restart as it is asked all the while: none lost, none answered twice, no finished run repeated",
        rounds=f"{rounds - restarts} stop and start, {restarts} restart",
        asked=len(asked),
        lost=len(lost),
        wrong_twice_or_torn=len(wrong) + len(reader.twice()) + len(reader.torn),
        runs_cut_off=sum(began[comp_id] - ended[comp_id] for comp_id in began),
        of_them_outlasting_stop_timeout=outlasting,
        finished_runs_repeated=len(repeated),
    )
    assert (lost, wrong, reader.twice(), reader.torn) == (set(), [], [], [])
    assert repeated == []


def test_a_stop_ends_in_time_whatever_happens(ground: Ground, row: Row) -> None:
    stop_timeout = 1
    ground.launch(settings={"stop_timeout": stop_timeout})
    directory = ground.node()
    took: dict[str, float] = {}
    for number in range(portion(8)):
        for place in ("idle", "deaf", "native", "family", "frozen", "frozen at work", "no socket"):
            comp_id = f"{place.replace(' ', '-')}-{number}"
            query = {"frozen at work": "spin", "no socket": "spin"}.get(place, place)
            if query not in ("idle", "frozen"):
                put(directory, comp_id, query)
                ground.until_begun(comp_id)
            if place.startswith("frozen"):
                kill(ground.daemon, signal.SIGSTOP)
            if place == "no socket":
                ground.home.socket(ground.name).unlink()
            begun = time.monotonic()
            ground.world.run("stop", ground.name)
            took[place] = max(took.get(place, 0.0), time.monotonic() - begun)
            until(lambda: not ground.marked(), "nothing of it is left")
            for path in (directory / ".nectar").iterdir():
                path.unlink()
            ground.world.run("start", ground.name)
    row(
        f"stop ends within stop_timeout ({stop_timeout} s) + 2 s, whatever the handler or the daemon does",
        **{f"{place}_s": seconds for place, seconds in took.items()},
    )
    assert max(took.values()) < stop_timeout + 2 + SLACK


class Outside:
    """A process that is none of ours, which notes the signals that it gets."""

    CODE = """
import signal, sys, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, lambda number, _: open(sys.argv[1], "a").write(f"{number}\\n"))
print("ready", flush=True)
time.sleep(3600)
"""

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.process = subprocess.Popen([sys.executable, "-c", self.CODE, notes], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    @property
    def untouched(self) -> bool:
        return self.process.poll() is None and not self.notes.exists()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_stale_pid_is_nobodys(ground: Ground, row: Row) -> None:
    """Where a PID in our files is by now that of a process outside, no command does anything to it."""
    ground.launch()
    ground.node()
    outside = Outside(ground.world.directory / "signals")
    commands = 0
    try:
        lock, registry = ground.home.lock(ground.name), ground.home.registry
        for number in range(portion(10, least=2)):
            kill(ground.daemon)
            until(lambda: not ground.serves() and not ground.marked(), "it is dead")
            fields = json.loads(lock.read_bytes())
            lock.write_text(json.dumps({**fields, "pid": outside.process.pid}) + "\n")
            records = json.loads(registry.read_bytes())
            records[ground.name]["pid"] = outside.process.pid
            aside = registry.with_suffix(".aside")
            aside.write_text(json.dumps(records))
            aside.rename(registry)
            for verb in (("view",), ("detach", ground.name, "nobody"), ("stop", ground.name), ("start", ground.name)):
                if number % 2 and verb[0] == "stop":
                    continue
                ground.world.run(*verb, code=None)
                commands += 1
            assert ground.serves()
        untouched = outside.untouched
    finally:
        outside.close()
    row(
        "where a PID in our files is by now another process's, no command does anything to it",
        commands=commands,
        untouched=untouched,
    )
    assert untouched


def test_a_stale_pid_in_a_lock_that_is_held(ground: Ground, row: Row) -> None:
    """A daemon has its lock, and has not yet written its PID over an old one, when a stop comes."""
    ground.launch(settings={"stop_timeout": 1})
    ground.world.run("stop", ground.name)
    outside = Outside(ground.world.directory / "signals")
    try:
        with ground.home.lock(ground.name).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate()
            lock.write(json.dumps({"pid": outside.process.pid, "started": 1.0, "version": "0"}) + "\n")
            lock.flush()
            stopping = ground.world.begin("stop", ground.name)
            view = ground.world.json("view")["handlers"][0]
            _, said = stopping.communicate(timeout=PATIENCE + LONG)
        untouched = outside.untouched
    finally:
        outside.close()
    row(
        "a stop that meets a lock which is held while the file still names an old PID signals no other process",
        exit_code=stopping.returncode,
        untouched=untouched,
    )
    assert untouched, said
    assert view["pid"] != outside.process.pid
    assert gone(outside.process.pid)
