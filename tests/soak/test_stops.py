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

from nectar.testing.sample import sample
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


def _stop(ground: Ground, _alias: str) -> None:
    ground.world.run("stop", ground.name)
    ground.world.run("start", ground.name)


def _terminate(ground: Ground, _alias: str) -> None:
    daemon = ground.daemon
    kill(daemon, signal.SIGTERM)
    until(lambda: gone(daemon) and not ground.marked(), "it has ended", seconds=LONG)
    ground.world.run("start", ground.name)


def _restart(ground: Ground, _alias: str) -> None:
    ground.world.run("restart", ground.name)


def _detach(ground: Ground, alias: str) -> None:
    ground.world.run("detach", ground.name, alias)
    ground.world.run("attach", ground.name, alias)


def _move_away_and_stop(ground: Ground, alias: str) -> None:
    """Its directory is not at its place while the daemon ends."""
    directory = ground.home.computations(alias)
    aside = directory.with_name("moved")
    directory.rename(aside)
    until(lambda: ground.status()["aliases"][alias]["problem"] is not None, "it is noticed", seconds=LONG)
    ground.world.run("stop", ground.name)
    aside.rename(directory)
    ground.world.run("start", ground.name)


WAYS = [_stop, _terminate, _restart, _detach, _move_away_and_stop]


def _until_more_runs(ground: Ground, than: int) -> None:
    until(lambda: ground.noted().total() > than, "a run begins", seconds=LONG)


def test_ends_in_order_are_no_tries(ground: Ground, row: Row) -> None:
    """A run that is cut off, a claim of a dead daemon that waits behind it, an answer that cannot find its place."""
    ground.launch(settings={"stop_timeout": 0.1})
    directory = ground.node()
    (directory / "owed.complete").mkdir()
    put(directory, "owed", "number 5")
    ground.until_begun("owed")
    put(directory, "long", "work 6 600000", deadline=900)
    ground.until_begun("long")
    ground.world.run("stop", ground.name)
    put(directory, "dead", "work 7 600000", deadline=900)
    (directory / "dead.pending").rename(directory / ".nectar" / f"dead.1.{16 * 'a'}")
    ground.world.run("start", ground.name)
    ends = portion(30, least=len(WAYS))
    _until_more_runs(ground, 2)
    for number in range(ends):
        before = ground.noted().total()
        WAYS[number % len(WAYS)](ground, directory.parts[-3])
        _until_more_runs(ground, before)
    ground.world.run("stop", ground.name)
    tries = {}
    for path in (directory / ".nectar").glob("*.*.*"):
        comp_id, tries[comp_id], _ = path.name.split(".")
    for comp_id in ("long", "dead"):
        (claim,) = (directory / ".nectar").glob(f"{comp_id}.*")
        claim.write_bytes(sample("number 6", comp_id=comp_id).to_json())
    (directory / "owed.complete").rmdir()
    with Reader(directory) as reader:
        ground.world.run("start", ground.name)
        missing = reader.until({"owed", "long", "dead"})
    values = {comp_id: reader.value(comp_id) for comp_id in ("owed", "long", "dead")}
    row(
        "an end that is in order is no try: stop, SIGTERM, restart, detach, and of a directory that is moved away",
        ends=ends,
        runs_begun=ground.noted().total(),
        tries_counted=str(tries),
        errors=sum(value is None for value in values.values()),
    )
    assert missing == set()
    assert ground.noted()["owed"] == 1
    assert tries["long"] == "1"
    assert tries["dead"] in ("1", "2"), "its daemon died once"
    assert values == {"owed": 5, "long": 6, "dead": 6}


def test_a_run_that_kills_its_daemon_ends_though_others_end_in_order(ground: Ground, row: Row) -> None:
    ground.launch(settings={"stop_timeout": 0.1})
    directory = ground.node()
    rounds = portion(10)
    with Reader(directory) as reader:
        for number in range(rounds):
            comp_id = f"q{number}"
            put(directory, comp_id, "work 1 600000", deadline=900)
            for attempt in range(3):
                ground.until_begun(comp_id, 2 * attempt + 1)
                ground.world.run("restart", ground.name)
                ground.until_begun(comp_id, 2 * attempt + 2)
                kill(ground.daemon)
                until(lambda: not ground.serves(), "it is dead", seconds=LONG)
                ground.world.run("start", ground.name)
            assert reader.until({comp_id}) == set()
        answers = [reader.answers[f"q{number}"] for number in range(rounds)]
    row(
        "the third death of the daemon over one question ends it, whatever ends in order in between",
        questions=rounds,
        answers=sum(map(len, answers)),
        runs=ground.noted().total(),
    )
    assert all(len(each) == 1 and "3 times" in each[0]["error"] for each in answers)
    assert set(ground.noted().values()) == {6}


def test_a_stop_ends_in_time_whatever_happens(ground: Ground, row: Row) -> None:
    stop_timeout = 1
    ground.launch(settings={"stop_timeout": stop_timeout})
    directory = ground.node()
    took: dict[str, float] = {}
    for number in range(portion(8)):
        for place in ("idle", "deaf", "native", "family", "frozen", "frozen at work", "no socket"):
            comp_id = f"{place.replace(' ', '-')}-{number}"
            query = {"frozen at work": "work 1 600000", "no socket": "work 1 600000"}.get(place, place)
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
