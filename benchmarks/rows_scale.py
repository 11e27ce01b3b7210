"""What a question costs on an engine, beside what the engine costs by itself: Dask, with two workers on this computer."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asking import PATIENCE, QUERY
from measuring import cpu_seconds, proportional_size, watch_others
from rows_answers import find_pids, percentile
from systems import HANDLER, Nectar, World
from table import Figure, Row

from nectar.manage.uv.uv import find_uv

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 2
PARTS, NAP = 100, 0.05
AT_ONCE, CONCURRENCY = 1000, 64
METADATA = """\
# /// script
# dependencies = ["distributed"]
# [tool.nectar]
# executor = "{executor}"
# concurrency = {concurrency}
# [tool.nectar.dask]
# address = "{address}"
# ///
"""
NAPPING = f"""
import time
import nectar
from nectar import Computation, handler

def nap(number: int) -> int:
    time.sleep({NAP})
    return number

@handler
def analyze(comp: Computation) -> int:
    assert [*nectar.executor().map(nap, range({PARTS}))] == [*range({PARTS})]
    return len(comp.query)
"""
SLEEPING = """
import time
from nectar import Computation, handler

@handler
def analyze(comp: Computation) -> int:
    time.sleep(int(comp.query) / 1000)
    return len(comp.query)
"""


class Cluster:
    """A scheduler, and workers for some handlers.

    :ivar address: the scheduler's, and ``pid`` its process.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        file = self.write("scheduler", HANDLER, "whole")
        self.pid = self._start(
            "exec", file, "--", "dask", "scheduler", "--host", "127.0.0.1", "--port", self._port, "--no-dashboard"
        ).pid
        begun = time.monotonic()
        while not self._answers():
            time.sleep(0.05)
            if time.monotonic() - begun > PATIENCE:
                raise RuntimeError("The scheduler did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes[::-1]:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def write(self, name: str, text: str, executor: str, concurrency: int = 1) -> Path:
        """A handler's file, with its lock."""
        head = METADATA.format(executor=executor, concurrency=concurrency, address=self.address)
        file = self._world.file(name, head + text)
        subprocess.run([find_uv(), "lock", "--quiet", "--script", file], check=True)
        return file

    @contextmanager
    def launched(
        self, name: str, text: str, executor: str, concurrency: int = 1, *, workers: int = WORKERS, query: str = QUERY
    ) -> Iterator[Nectar]:
        """A handler, with workers of the cluster's where it has an executor."""
        file = self.write(name, text, executor, concurrency)
        # What is compiled at its first import takes a third more memory, and is a handler's with each environment.
        self._world.nectar("exec", file, "--", "python", "-c", "import distributed")
        with ExitStack() as stack:
            if executor != "none":
                process = self._start("worker", file, name, "--connect", self.address, "--workers", workers)
                stack.callback(process.wait)
                stack.callback(process.terminate)
            ours = stack.enter_context(Nectar(self._world, name, text=file.read_text(encoding="utf-8"), query=query))
            yield ours

    @contextmanager
    def client(self, python: str) -> Iterator[Bare]:
        """A client of Dask's own."""
        client = Bare(python, self.address)
        try:
            yield client
        finally:
            client.close()

    def _start(self, *arguments: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._world.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._processes.append(process)
        return process

    def _answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self._port)) == 0


class Bare:
    """A Dask client without nectar, as :mod:`bare` is one."""

    def __init__(self, python: str, address: str) -> None:
        command = [python, str(Path(__file__).with_name("bare.py")), address]
        pipe: Any = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.pid = self._process.pid
        self._read()

    def ask(self, what: str, count: int) -> list[float]:
        """The seconds that it took, as :mod:`bare` says it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what} {count}\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> list[float]:
        assert self._process.stdout is not None
        took: list[float] = json.loads(self._process.stdout.readline())
        return took


def scale(world: World) -> Iterator[Row]:
    with Cluster(world) as cluster:
        yield from _whole(world, cluster)
        yield _at_once(world, cluster)
        yield _parts(world, cluster)


def capacity(world: World) -> Iterator[Row]:
    """How many questions a second a cluster answers, whose workers sleep over each, and what each question takes of the processors."""
    with Cluster(world) as cluster:
        for workers in (1, 2, 4):
            with cluster.launched("capacity", SLEEPING, "whole", CONCURRENCY, workers=workers, query="0001") as ours:
                ours.client.ask_at_once(200)
                ours.client.collect()
                for milliseconds in (1, 10, 100, 1000):
                    ours.client.query = f"{milliseconds:04}"  # all as long as each other, and so with one answer
                    count = max(8 * workers, min(2000, 4000 * workers // milliseconds))
                    pids = {"daemon": ours.pids[:1], "its worker": ours.pids[1:2], "scheduler": [cluster.pid]}
                    before = {name: cpu_seconds(of_it) for name, of_it in pids.items()}
                    rate = count / ours.client.ask_at_once(count)
                    ours.client.collect()
                    what = f"{workers} workers, {milliseconds:,} ms of sleep"
                    yield Row(what, Figure([rate], "/s"), Figure([workers * 1000 / milliseconds], "/s"), "they sleep")
                    for name, of_it in pids.items():
                        took = Figure([(cpu_seconds(of_it) - before[name]) / count * 1000], "ms")
                        yield Row(f"{what}: CPU a question, {name}", took)


def _whole(world: World, cluster: Cluster) -> Iterator[Row]:
    count = 200
    with (
        cluster.launched("whole", HANDLER, "whole") as ours,
        cluster.launched("local", HANDLER, "none") as local,
        cluster.client(ours.python) as bare,
    ):
        medians: list[list[float]] = [[], []]
        for round_ in range(world.rounds + 1):
            with watch_others([*find_pids([ours, local]), bare.pid], world.others):
                alone, asked, here = bare.ask("ONE", count), ours.client.ask_in_turn(count), local.client.ask_in_turn(count)
            if round_:  # the first one is for what is done once
                medians[0].append(percentile(asked, 0.5) * 1000)
                medians[1].append((percentile(alone, 0.5) + percentile(here, 0.5)) * 1000)
        figures = [Figure(values, "ms") for values in medians]
        yield Row("one question through Dask: p50", *figures, "its submit().result(), and nectar's way without it", most=1.1)
        sizes = [Figure([proportional_size([pid])], "MB") for pid in (ours.pids[1], bare.pid)]
        yield Row("the worker with a client: memory (PSS)", *sizes, "Dask's client", most=1.1)


def _at_once(world: World, cluster: Cluster) -> Row:
    rates: list[list[float]] = [[], []]
    with cluster.launched("many", HANDLER, "whole", CONCURRENCY) as ours, cluster.client(ours.python) as bare:
        for round_ in range(world.rounds + 1):
            with watch_others([*find_pids([ours]), bare.pid], world.others):
                (alone,), asked = bare.ask("MANY", AT_ONCE), ours.client.ask_at_once(AT_ONCE)
            ours.client.collect()
            if round_:
                for rate, seconds in zip(rates, (asked, alone), strict=True):
                    rate.append(AT_ONCE / seconds)
    figures = [Figure(values, "/s") for values in rates]
    return Row(f"{AT_ONCE:,} at once, concurrency = {CONCURRENCY}", *figures, "its submit()", least=1)


def _parts(world: World, cluster: Cluster) -> Row:
    with cluster.launched("parts", NAPPING, "parts") as ours:
        ours.client.ask_in_turn(2)
        rates = [1 / seconds for seconds in ours.client.ask_in_turn(world.rounds)]
    alone = Figure([1 / (PARTS * NAP)], "/s")
    return Row(
        f"{PARTS} parts of {NAP * 1000:.0f} ms, {WORKERS} workers", Figure(rates, "/s"), alone, "one after the other", least=1.8
    )
