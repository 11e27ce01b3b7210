"""A handler on an engine: links are cut in a network of the test's, processes die, and what is at the address is no scheduler.

What tests/runtime and tests/cli try of it, they try each time; this takes minutes of Dask's, and is tried by all of the soak alone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import needs
from tests.environments.workbench import uv
from tests.soak.ground import LATE, LONG, Ground, Reader, put, seconds_until
from tests.soak.networks import Network, machines
from tests.soak.table import FRACTION
from tests.world import free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.soak.table import Row
    from tests.world import World

pytestmark = [
    needs.no_wall("an engine's workers have none"),
    *(pytest.mark.soak, pytest.mark.uv, pytest.mark.once, pytest.mark.anywhere),
    pytest.mark.skipif(FRACTION < 1, reason="all of the soak tries it: each start of Dask takes seconds"),
]

HANDLER = '''
# /// script
# dependencies = ["distributed"]
# [tool.nectar]
# executor = "whole"
# concurrency = 4
# ///
import os
import time
from nectar import handler

@handler
def afar(comp):
    """Note that a run has begun, and take as long as the question says."""
    place, seconds = comp.query.split()
    with open(place, "a") as file:
        file.write(f"{comp.comp_id} begin\\n")
    time.sleep(float(seconds))
    return os.getppid()
'''
NAME, PORT = "afar", 8786
SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler"]


class Processes:
    """What is started for a test, each with a log; they are ended in turn, the last one first."""

    def __init__(self, world: World) -> None:
        self._logs = world.directory / "logs"
        self._logs.mkdir()
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str | Path) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            self._all.append(subprocess.Popen([*command], stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self._all[-1]

    def until_said(self, name: str, text: str) -> None:
        until(lambda: text in (self._logs / f"{name}.log").read_text(), f"{name} says {text}", seconds=LONG)

    def close(self) -> None:
        for process in self._all[::-1]:
            process.terminate()
            process.wait(LONG)


class Afar:
    """A handler near, a scheduler in the hub, and two workers of it far away.

    :ivar node: where it is asked.
    """

    def __init__(self, world: World, network: Network) -> None:
        self.ground = Ground(world, NAME)
        self.network = network
        self._world = world
        self._processes = Processes(world)
        self.address = f"tcp://{network.addresses['hub']}:{PORT}"

    def start(self) -> None:
        file = self._world.file("afar.py", HANDLER)
        uv("lock", "--script", file)
        self._world.run("exec", file, "--", "true")  # builds it, for which there is no index in that network
        self.scheduler = self.schedule()
        self._processes.until_said("scheduler", self.address)
        self.node = self._world.node()
        self._run("near", *self._world.command("launch", file, NAME, "--attach", "alice", "--insecure"))
        connect = ("--connect", self.address, "--workers", "2", "--insecure")
        self._processes.start("worker", *self.network.on("far", *self._world.command("worker", file, *connect)))

    def close(self) -> None:
        self._world.run("stop", NAME, "--timeout", "0", code=None)
        self._processes.close()

    def schedule(self) -> subprocess.Popen[bytes]:
        """Start a scheduler, which knows nothing of one before it."""
        arguments = ("--host", self.network.addresses["hub"], "--port", str(PORT), "--no-dashboard")
        return self._processes.start("scheduler", *self.network.on("hub", *SCHEDULER, *arguments))

    def ask(self, comp_id: str, seconds: float = 0, *, deadline: float = 120) -> None:
        put(self.node, comp_id, f"{self.ground.runs} {seconds}", deadline=deadline)

    def told(self) -> str:
        """What ``view`` says of it."""
        return self._world.run("view", NAME).stdout

    def _run(self, host: str, *command: str) -> None:
        environ = {**os.environ, "NECTAR_DASK_ADDRESS": self.address}
        ended = subprocess.run(
            self.network.on(host, *command), capture_output=True, text=True, check=False, env=environ, timeout=LONG
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
def afar(world: World) -> Iterator[Afar]:
    with machines("hub", "near", "far") as network:
        made = Afar(world, network)
        try:
            made.start()
            yield made
        finally:
            made.close()


def test_a_link_that_is_cut_for_a_while_costs_time_and_no_answer(afar: Afar, row: Row) -> None:
    """What runs then is answered, once; what is asked then waits."""
    lasting = 20.0
    with Reader(afar.node) as reader:
        for number, host in enumerate(("near", "far")):
            afar.ask(f"run{number}", 1)
            afar.ground.until_begun(f"run{number}")
            afar.network.cut(host)
            for comp_id in "abc":
                afar.ask(f"{comp_id}{number}")
            time.sleep(lasting)
            afar.network.mend(host)
        asked = {f"{comp_id}{number}" for comp_id in ("run", "a", "b", "c") for number in range(2)}
        missing = reader.until(asked, seconds=LONG)
        failed = {comp_id: reader.answers[comp_id][0]["error"] for comp_id in asked - missing if reader.value(comp_id) is None}
    runs = afar.ground.noted()
    row(
        "a cut link costs time and no answer",
        cut_for=lasting,
        asked=len(asked),
        missing=len(missing),
        failed=len(failed),
        runs=runs.total(),
    )
    assert missing == set()
    assert failed == {}
    assert {comp_id for comp_id, count in runs.items() if count > 1} == set()
    assert reader.twice() == []


def test_a_link_to_the_scheduler_that_is_gone_is_told_and_the_run_is_tried_again(afar: Afar, row: Row) -> None:
    with Reader(afar.node) as reader:
        afar.ask("run", 1)
        afar.ground.until_begun("run")
        afar.network.cut("near")
        noticed = seconds_until(lambda: "scheduler" in afar.told(), "view tells of it")
        afar.ask("later")
        afar.network.mend("near")
        again = seconds_until(lambda: not reader.until(["run", "later"], seconds=1), "both are answered")
    row("a lost link is told, and its runs are tried again", told_after=noticed, answered_after=again)
    assert noticed < 60
    assert reader.value("run") is not None
    assert reader.value("later") is not None
    assert (afar.ground.noted()["run"], afar.ground.noted()["later"]) == (2, 1)


def test_workers_that_are_gone_are_an_error_and_others_are_waited_for(afar: Afar, row: Row) -> None:
    with Reader(afar.node) as reader:
        afar.ask("run", 1)
        afar.ground.until_begun("run")
        afar.network.cut("far")
        failed = seconds_until(lambda: not reader.until(["run"], seconds=1), "it is answered")
        afar.ask("later")
        afar.network.mend("far")
        again = seconds_until(lambda: not reader.until(["later"], seconds=1), "workers are back")
    row("a run on a machine that is lost is an error", error_after=failed, workers_back_after=again)
    assert failed < 60
    assert reader.value("run") is None
    assert "the engine's worker died" in reader.answers["run"][0]["error"]
    assert reader.value("later") is not None


def test_a_result_that_cannot_be_fetched_is_an_error(afar: Afar, row: Row) -> None:
    with Reader(afar.node) as reader:
        afar.ask("run", 1, deadline=240)
        afar.ground.until_begun("run")
        afar.network.deafen("far")
        failed = seconds_until(lambda: not reader.until(["run"], seconds=1), "it is answered")
    row("a result that no link leads to is an error, and no second run", error_after=failed)
    assert "the engine's worker died" in reader.answers["run"][0]["error"]
    assert afar.ground.noted()["run"] == 1


def test_a_scheduler_that_is_killed_costs_a_try(afar: Afar, row: Row) -> None:
    seconds = []
    with Reader(afar.node) as reader:
        for number in range(10):
            afar.ask(f"run{number}", 2)
            afar.ground.until_begun(f"run{number}")
            afar.scheduler.kill()
            afar.scheduler.wait()
            afar.ask(f"later{number}")
            until(lambda: "scheduler" in afar.told(), "view tells of it")
            afar.scheduler = afar.schedule()
            begun = time.monotonic()
            assert reader.until([f"run{number}", f"later{number}"]) == set()
            seconds.append(time.monotonic() - begun)
            assert reader.value(f"run{number}") is not None
            assert reader.value(f"later{number}") is not None
    row("a scheduler that is killed costs a try", killed=len(seconds), answered_again_after=max(seconds))
    assert max(seconds) < LATE


def test_a_worker_of_the_engine_s_that_is_killed_is_an_error_at_once(afar: Afar, row: Row) -> None:
    seconds = []
    with Reader(afar.node) as reader:
        for number in range(10):
            afar.ask("first")
            assert reader.until(["first"]) == set()
            victim = reader.value("first")
            reader.answers.clear()
            for half in "ab":
                afar.ask(f"{half}{number}", 10)
                afar.ground.until_begun(f"{half}{number}")
            assert victim is not None
            os.kill(victim, signal.SIGKILL)
            begun = time.monotonic()
            until(lambda: reader.answers, "one of them is answered", seconds=LONG)
            seconds.append(time.monotonic() - begun)
            assert reader.until([f"{half}{number}" for half in "ab"]) == set()
            values = [reader.value(f"{half}{number}") for half in "ab"]
            assert len([value for value in values if value is None]) == 1
            assert victim not in values
    row(
        "a worker of the engine's that is killed is an error at once, and its neighbour goes on",
        killed=len(seconds),
        slowest=max(seconds),
    )


PARTS = """
# /// script
# dependencies = ["distributed"]
# [tool.nectar]
# executor = "parts"
# [tool.nectar.dask]
# timeout = 5
# ///
import threading
import nectar
from nectar import handler

@handler
def parted(comp):
    what, _, megabytes = comp.query.partition(" ")
    engine = nectar.executor()
    match what:
        case "there":
            return engine.submit(len, bytes(int(megabytes) * 1_000_000)).result()
        case "back":
            return len(engine.submit(bytes, int(megabytes) * 1_000_000).result())
        case "lock":
            return engine.submit(threading.Lock).result()
    return sum(engine.map(len, comp.query.split()))
"""


class Parted:
    """A handler in parts, a scheduler and a worker, on this machine.

    :ivar processes: that belong to it.
    """

    def __init__(self, world: World, processes: Processes, *, secret: bool) -> None:
        self.world = world
        self.processes = processes
        self.file = world.file("parted.py", PARTS)
        world.node()
        port = free_port()
        self.plain = f"tcp://127.0.0.1:{port}"
        self.tls: tuple[str, ...] = ("--tls", *make_certificates(world.directory)) if secret else ()
        self.address = self.plain.replace("tcp", "tls") if secret else self.plain
        uv("lock", "--script", self.file)
        options = [*zip(("--tls-ca-file", "--tls-cert", "--tls-key"), self.tls[1:], strict=False)]
        where = ("--protocol", self.address[:3], "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        self.processes.start("scheduler", *SCHEDULER, *where, *(word for pair in options for word in pair))
        self.processes.until_said("scheduler", self.address)

    def serve(self) -> None:
        """Launch it, and start a worker."""
        self.launch(self.address, code=0)
        self.processes.start("worker", *self.world.command("worker", self.file, "--connect", self.address, *self.tls))
        self.processes.until_said("worker", "Serving")

    def launch(self, address: str, *, code: int, file: Path | None = None) -> str:
        """What it says of a launch with that address."""
        arguments = ("launch", file or self.file, "parted", "--attach", "alice", "--replace")
        return self.world.run(*arguments, code=code, env={"NECTAR_DASK_ADDRESS": address}).stderr

    def ask(self, query: str) -> dict[str, Any]:
        put(self.world.node(), "q", query, deadline=LONG)
        until((self.world.node() / "q.complete").exists, f"{query} is answered", seconds=2 * LONG)
        return self.world.answer("q")


@pytest.fixture
def parted(world: World, request: pytest.FixtureRequest) -> Iterator[Parted]:
    processes = Processes(world)
    try:
        yield Parted(world, processes, secret=request.param == "secret")
    finally:
        world.run("stop", "--all", code=None)
        processes.close()


def make_certificates(directory: Path) -> list[str]:
    """An authority's, and one that it has signed with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
        [*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, "-subj", "/CN=hive", "-keyout", "key.pem", "-out", "asked.pem"],
        ["openssl", "x509", "-req", "-in", "asked.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-out", "cert.pem"],
    ):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return [str(directory / f"{name}.pem") for name in ("ca", "cert", "key")]


@pytest.mark.parametrize("parted", ["plain"], indirect=True)
def test_what_is_at_the_address_is_told_and_what_is_too_much_is_an_error(parted: Parted, row: Row) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        web = parted.processes.start("web", sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1")
        parted.processes.until_said("web", "Serving HTTP on")
        (port,) = re.findall(r"port (\d+)", (parted.world.directory / "logs" / "web.log").read_text())
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        for address in (f"127.0.0.1:{port}", nobody, "127.0.0.1:1"):
            begun = time.monotonic()
            assert f"No Dask scheduler answers at {address}: " in parted.launch(address, code=1)
            assert time.monotonic() - begun < LATE
        web.kill()
    assert not parted.world.home.registry.exists()
    parted.serve()
    assert parted.ask("a bee")["result"] == {"value": 4}
    assert parted.ask("there 500")["result"] == {"value": 500_000_000}
    assert parted.ask("back 500")["result"] == {"value": 500_000_000}
    assert "is 1100000" in parted.ask("there 1100")["error"]
    assert "cannot be pickled" in parted.ask("lock")["error"]
    assert parted.ask("a bee")["result"] == {"value": 4}
    row("who is no scheduler is told, and parts of 500 MB go there and back", addresses=3, megabytes=1000)


@pytest.mark.parametrize("parted", ["secret"], indirect=True)
def test_tls_on_both_sides_or_a_word(parted: Parted, row: Row) -> None:
    assert "whether it wants TLS" in parted.launch(parted.plain, code=1)
    keys = "".join(f'# tls_{name} = "{name}.pem"\n' for name in ("ca", "cert", "key"))
    parted.file.write_text(PARTS.replace("# timeout = 5\n", f"# timeout = 5\n{keys}"))
    parted.processes.start("plain", *SCHEDULER, "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    parted.processes.until_said("plain", "Scheduler at:")
    (plain,) = re.findall(r"tcp://(\S+)", (parted.world.directory / "logs" / "plain.log").read_text())
    assert f"No Dask scheduler answers at tls://{plain}: " in parted.launch(plain, code=1)
    parted.serve()
    assert parted.ask("a bee")["result"] == {"value": 4}
    row("TLS on both sides is spoken, and on one side told", answered=1)
