"""``handlers.json`` always parses, and has every change that was done."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from nectar.home import Home
from tests.soak.ground import Ground, kill, mounted
from tests.soak.table import portion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.table import Row
    from tests.world import World

MANY = 8
ROUNDS = 5
UPDATERS = """
import json
import os
import socket
import sys
from pathlib import Path
from nectar.home import Home
from nectar.manage.handlers import registry

def update(home, prefix, count):
    for number in range(count):
        try:
            with registry.change(home) as records:
                records[f"{prefix}-{number}"] = registry.Record(handler="x" * 200)
        except OSError as error:
            print(f"no {number} {error.strerror}", flush=True)
        else:
            print(f"done {number}", flush=True)  # whole, whenever it is killed

# None is waited for before the end of all, so that the PID of each stays its own.
orders = socket.socket(fileno=int(sys.argv[1]))
while True:
    order, streams, _, _ = socket.recv_fds(orders, 4096, 1)
    if not order:
        break
    if os.fork() == 0:
        os.dup2(*streams, 1)
        print(os.getpid(), flush=True)
        data_dir, prefix, count = json.loads(order)
        update(Home(Path(data_dir)), prefix, count)
        os._exit(0)
    os.close(*streams)
"""


class Updater:
    """A process that changes a registry so many times, and says of each change whether it was done."""

    def __init__(self, pid: int, output: IO[str]) -> None:
        self._pid = pid
        self._output = output

    def line(self) -> str:
        return self._output.readline()

    def kill(self) -> None:
        kill(self._pid)

    def said(self, what: str) -> list[str]:
        """What it was, once it has ended, of which it said this."""
        with self._output as output:
            return [line.split()[1] for line in output if line.startswith(what)]


class Updaters:
    """Where these come from: forked from a process that has imported what it takes, which is a hundred times what a change takes."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-c", UPDATERS, str(theirs.fileno())], pass_fds=[theirs.fileno()])

    def begin(self, home: Home, prefix: str, count: int) -> Updater:
        reading, writing = os.pipe()
        socket.send_fds(self._orders, [json.dumps([str(home.data_dir), prefix, count]).encode()], [writing])
        os.close(writing)
        output = os.fdopen(reading)
        return Updater(int(output.readline()), output)

    def close(self) -> None:
        self._orders.close()
        self._process.wait()


@pytest.fixture
def updaters() -> Iterator[Updaters]:
    made = Updaters()
    yield made
    made.close()


class Looker(threading.Thread):
    """Reads the registry without a lock, as a node's own program does.

    :ivar torn: how often it could not be read; ``reads`` how often it was tried.
    """

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self.reads = self.torn = 0
        self.ending = False
        self._path = home.registry

    def run(self) -> None:
        while not self.ending:
            time.sleep(0.002)
            try:
                raw = self._path.read_bytes()
            except FileNotFoundError:
                continue
            self.reads += 1
            try:
                json.loads(raw)
            except ValueError:
                self.torn += 1


def test_updates_at_once(ground: Ground, updaters: Updaters, row: Row) -> None:
    ground.launch(noted=False)
    ground.nodes(1)
    world, each, commands = ground.world, portion(100), portion(50, least=2)
    world.node("spare")
    looker = Looker(ground.home)
    looker.start()
    updating = [updaters.begin(ground.home, f"u{number}", each) for number in range(MANY)]
    attached = []
    for number in range(commands):
        world.run("detach" if number % 2 else "attach", ground.name, "spare")
        attached.append(number)
    done = {f"u{number}-{index}" for number, updater in enumerate(updating) for index in updater.said("done")}
    looker.ending = True
    looker.join()
    records = world.registry()
    missing = done - records.keys()
    row(
        f"{MANY} processes change handlers.json at once, beside attach and detach: none is lost",
        entries=len(done),
        missing=len(missing),
        attaches_and_detaches=commands,
        reads_without_a_lock=looker.reads,
        torn=looker.torn,
    )
    assert len(done) == MANY * each
    assert (missing, looker.torn) == (set(), 0)
    assert ("spare" in records[ground.name]["attached_aliases"]) == bool(commands % 2)


def test_updates_that_are_killed(world: World, updaters: Updaters, row: Row) -> None:
    """Some rounds a registry, so that it stays as small as registries are. Whole commands are killed in ``test_kills``."""
    kills = portion(300, shared=True)
    total: Counter[str] = Counter()
    wrong: list[str] = []
    for begun in range(0, kills, ROUNDS):
        home = Home(world.directory / f"world-{begun}")
        tell, said = _killed(updaters, home, min(ROUNDS, kills - begun))
        total.update(tell)
        wrong += said
    row("kill -9 of whoever changes handlers.json: it always parses, and has every change that was done", **total)
    assert wrong == []
    assert (total["changes_lost"], total["torn"], total["files_left"]) == (0, 0, 0)


def _killed(updaters: Updaters, home: Home, rounds: int) -> tuple[dict[str, int], list[str]]:
    """Kill two at once that change a registry, again and again; then one more changes it."""
    chance = random.Random(31)
    looker = Looker(home)
    looker.start()
    done: set[str] = set()
    cut_off = 0
    for number in range(rounds):
        updating = [updaters.begin(home, f"k{number}{name}", 1000) for name in "ab"]
        first = updating[0].line()
        time.sleep(chance.uniform(0, 0.05))
        for updater in updating:
            updater.kill()
        said = [updater.said("done") for updater in updating]
        said[0] += [first.split()[1]] if first.startswith("done") else []
        done |= {f"k{number}{name}-{index}" for name, each in zip("ab", said, strict=True) for index in each}
        cut_off += any(home.nectar.glob("handlers.json.*"))
    looker.ending = True
    looker.join()
    last = updaters.begin(home, "last", 1).said("done")
    tell = {
        "kills": 2 * rounds,
        "at_least_in_mid_write": cut_off,
        "changes_done": len(done),
        "changes_lost": len(done - json.loads(home.registry.read_bytes()).keys()),
        "reads_without_a_lock": looker.reads,
        "torn": looker.torn,
        "files_left": len({*home.nectar.glob("handlers.json*")} - {home.registry, home.registry_before}),
    }
    return tell, [] if last == ["0"] else [f"the last change was not made: {last}"]


def test_updates_on_a_full_disk(world: World, updaters: Updaters, row: Row) -> None:
    """Byte for byte as it was, and the same change is done once there is room."""
    rounds = portion(50)
    wrong = []
    with mounted(world.directory / "small", "-o", "size=1m") as directory:
        home = Home(directory)
        assert updaters.begin(home, "first", 5).said("done") == list("01234")
        for number in range(rounds):
            before = home.registry.read_bytes()
            filler = Path(directory / "filler")
            _fill(filler)
            refused = updaters.begin(home, f"r{number}", 2).said("no")
            if refused != ["0", "1"] or home.registry.read_bytes() != before:
                wrong.append(f"{number}: {refused}")
            filler.unlink()
            if updaters.begin(home, f"w{number}", 1).said("done") != ["0"]:
                wrong.append(f"{number}: not with room")
        left = sorted(path.name for path in home.nectar.glob("handlers.json*"))
    row(
        "a disk that is full: handlers.json stays as it was, byte for byte, and changes are made again once there is room",
        refused=2 * rounds,
        done_with_room=rounds,
        wrong=len(wrong),
        files_left=len(left) - 2,
    )
    assert wrong == []
    assert left == ["handlers.json", "handlers.json.1"]


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
