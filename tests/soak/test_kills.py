"""Nothing is lost, torn or answered twice, whatever is killed and whenever."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.soak.ground import EITHER_WAY, HELD_UP, LONG, Ground, Reader, gone, injected, kill, left, put
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from tests.soak.table import Row

CALLS = ("openat", "renameat", "renameat2", "unlinkat", "write", "fchmod", "newfstatat", "close")
WAYS = ("in place", "renamed", "onto an unread answer")
KNOWN = (" was ended by SIGKILL", "3 times")


class Writers:
    """Four threads that ask, two in place and two aside, never more than some questions ahead of the answers."""

    def __init__(self, directories: list[Path], reader: Reader, count: int) -> None:
        self.asked: dict[str, int] = {}
        self.held_up: set[str] = set()
        self._reader = reader
        self._count = count
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(directories[number % len(directories)], number < 2), daemon=True)
            for number in range(4)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(2 * LONG)

    @property
    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, directory: Path, in_place: bool) -> None:
        chance = random.Random(len(self.asked))
        end = time.monotonic() + 2000
        while time.monotonic() < end:
            if len(self.asked) - len(self._reader.answers) > 60:
                time.sleep(0.05)
                continue
            with self._lock:
                number = next(self._numbers)
                if number >= self._count:
                    return
                self.asked[f"q{number}"] = number
            slow = chance.random() < 0.1
            query = f"work {number} {chance.uniform(5, 40) if slow else 0:.3f}"
            if put(directory, f"q{number}", query, in_place=in_place) >= HELD_UP:
                self.held_up.add(f"q{number}")


class Killer:
    """Kills what there is of a handler, and starts it again, with commands that may be killed as well."""

    def __init__(self, ground: Ground, directories: list[Path]) -> None:
        self.kills: Counter[str] = Counter()
        self.over_a_claim = 0
        self.cut_off = 0
        self._ground = ground
        self._directories = directories
        self._chance = random.Random(5)
        ground.world.node("spare")

    def once(self) -> None:
        """One kill of something, at some moment."""
        ground, chance = self._ground, self._chance
        what = chance.choices(("daemon", "session", "worker", "group", "command"), (3, 1, 1, 1, 4))[0]
        if what == "command":
            if not ground.serves():
                self._command("start")
            else:
                self._command(*chance.choice((("attach",), ("detach",), ("view",))))
            return
        self.revive()
        self._moment()
        try:
            daemon = ground.daemon
            workers = ground.workers(daemon)
        except (OSError, ValueError):
            return
        if what == "daemon":
            hit = kill(daemon)
        elif what == "session":
            hit = kill(daemon)
            for worker in workers:
                kill(worker)
        else:
            hit = bool(workers) and (kill(workers[0]) if what == "worker" else _kill_group(workers[0]))
        self.kills[what] += hit

    def revive(self) -> None:
        while not self._ground.serves():
            self._ground.world.run("start", self._ground.name, code=None)

    def _moment(self) -> None:
        """Sometimes at once, sometimes a while later, mostly while a question is being answered."""
        time.sleep(self._chance.choice((0, 0.001, 0.01, 0.05)))
        end = time.monotonic() + 0.5
        while self._chance.random() < 0.95 and time.monotonic() < end:
            if any(os.listdir(directory / ".nectar") for directory in self._directories):
                self.over_a_claim += 1
                return

    def _command(self, verb: str) -> None:
        ground = self._ground
        arguments = {"view": ("view",), "start": ("start", ground.name)}.get(verb, (verb, ground.name, "spare"))
        command = ground.world.fork(*arguments)
        try:
            command.wait(self._chance.uniform(0, 0.4 if verb == "start" else 0.05))  # about as long as each takes
        except TimeoutError:
            command.kill()
            command.wait(LONG)
            self.kills["command"] += 1
            self.cut_off += verb == "start"


def _kill_group(pid: int) -> bool:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@EITHER_WAY
def test_kills_at_random_moments(ground: Ground, row: Row) -> None:
    """Bare ``nox`` runs it twice: ``elsewhere``, too."""
    ground.launch()
    directories = ground.nodes(2)
    part = 5 if ground.walled else 1
    wanted, count = portion(1000, shared=True) // part, portion(20_000, shared=True) // part
    killer = Killer(ground, directories)
    begun = time.monotonic()
    with Reader(*directories) as reader:
        writers = Writers(directories, reader, count)
        writers.start()
        while killer.kills.total() < wanted and time.monotonic() < begun + 2400:
            killer.once()
        killed_for = time.monotonic() - begun
        killer.revive()
        until(lambda: writers.done, "all has been asked", seconds=LONG)
        writers.join()
        lost = reader.until(set(writers.asked))
        until(lambda: not any(left(directory) for directory in directories), "nothing is left in the directories")
    runs = ground.noted()
    errors = [
        answers[0]
        for comp_id, answers in reader.answers.items()
        if answers[0]["status"] != "success" and comp_id not in writers.held_up
    ]
    wrong = [comp_id for comp_id, number in writers.asked.items() if reader.value(comp_id) not in (number, None)]
    told = [answer for answer in errors if not any(text in str(answer["error"]) for text in KNOWN)]
    extra = sum(number - 1 for number in runs.values())
    row(
        "kill -9 of daemons, workers, their groups and commands: no question is lost, none torn, none answered twice",
        kills=f"{killer.kills.total()} ({', '.join(f'{number} {what}' for what, number in sorted(killer.kills.items()))})",
        over_a_claim=killer.over_a_claim,
        a_second=killer.kills.total() / killed_for,
        questions=len(writers.asked),
        lost=len(lost),
        torn=len(reader.torn),
        twice=len(reader.twice()),
        false=len(wrong),
        error_answers=len(errors),
        extra_runs=extra,
        most_runs_of_one=max(runs.values()),
        starts_cut_off=killer.cut_off,
    )
    assert not lost
    assert (reader.torn, reader.twice(), wrong, told) == ([], [], [], [])
    assert len(writers.asked) >= count
    assert killer.kills.total() >= wanted
    assert extra <= killer.kills.total()
    assert max(runs.values()) <= 3


def test_kills_before_every_file_operation(ground: Ground, row: Row) -> None:
    """strace ends the daemon as it enters its n-th call of some kind, while it answers one question."""
    ground.launch()
    directory = ground.node()
    every = [(call, nth, way) for nth in range(1, 13) for way in WAYS for call in CALLS]
    rounds = every[: portion(len(every), least=3)]
    killed: Counter[str] = Counter()
    enough: set[tuple[str, str]] = set()
    for number, (call, nth, way) in enumerate(rounds):
        if (call, way) in enough:  # it makes fewer such calls than that for one question
            continue
        if not ground.serves():
            ground.world.run("start", ground.name)
        if _dies(ground, directory, f"q{number}", number + 1, (call, nth, way)):
            killed[call] += 1
        else:
            enough.add((call, way))
    row(
        "wherever a daemon dies between two file operations, exactly one answer is there after the next has started",
        tried=len(rounds),
        killed_before=", ".join(f"{call} {count}" for call, count in sorted(killed.items())),
        wrong=0,
    )
    assert killed


def _dies(ground: Ground, directory: Path, comp_id: str, value: int, at: tuple[str, int, str]) -> bool:
    """Ask a question of a daemon that ends at a call, and see that there is one right answer; whether it came to that call."""
    call, nth, way = at
    if way == "onto an unread answer":
        put(directory, comp_id, "number 0")
        until((directory / f"{comp_id}.complete").exists, "the first answer")
    before = ground.noted()[comp_id]
    daemon = ground.daemon
    with injected(daemon, f"trace={call}", f"inject={call}:signal=KILL:when={nth}"):
        put(directory, comp_id, f"number {value}", in_place=way == "in place")
        until(lambda: _answered(directory, comp_id, value) or gone(daemon), "an answer, or the end")
    died = gone(daemon)
    if died:
        until(lambda: not ground.marked(), "its workers are gone")
        ground.world.run("start", ground.name)
    until(lambda: _answered(directory, comp_id, value), f"an answer after {at}")
    until(lambda: left(directory) == [f"{comp_id}.complete"], f"one answer after {at}, and nothing else")
    assert ground.noted()[comp_id] - before <= 2
    (directory / f"{comp_id}.complete").unlink()
    return died


def _answered(directory: Path, comp_id: str, value: int) -> bool:
    try:
        return bool(json.loads((directory / f"{comp_id}.complete").read_bytes())["result"] == {"value": value})
    except FileNotFoundError:
        return False


@needs.death_signal
@pytest.mark.parametrize("native", [False, True], ids=["in Python", "in native code"])
def test_three_tries_and_no_more(ground: Ground, row: Row, native: bool) -> None:
    """A question during which the daemon dies three times is answered with an error that says so."""
    ground.launch()
    directory = ground.node()
    rounds = portion(10)
    answers = []
    with Reader(directory) as reader:
        for number in range(rounds):
            comp_id = f"q{number}"
            put(directory, comp_id, "native" if native else "spin")
            for attempt in range(1, 4):
                ground.until_begun(comp_id, attempt)
                kill(ground.daemon)
                until(lambda: not ground.serves(), "it is dead")
                ground.world.run("start", ground.name)
            assert reader.until({comp_id}) == set()
            answers.append(reader.answers[comp_id])
        runs = ground.noted()
    row(
        "the third death of the daemon over one question makes an answer that says so",
        questions=rounds,
        answers=sum(map(len, answers)),
        most_runs_of_one=max(runs.values()),
    )
    assert all(len(each) == 1 and "3 times" in each[0]["error"] for each in answers)
    assert set(runs.values()) == {3}
