"""``nectar worker``: an engine's own worker for a handler, as on another machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar import __version__
from nectar.manage.environment import marker
from nectar.testing.sample import sample
from tests.engine import Cluster
from tests.environments.workbench import uv
from tests.soak.table import FRACTION
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

WHOLE = pytest.mark.skipif(FRACTION < 1, reason="all of the soak tries it: each start of Dask takes seconds")

HANDLER = """
    # /// script
    # dependencies = ["distributed"]
    # ///
    from nectar import Computation, handler

    @handler
    def score(comp: Computation) -> int:
        return len(comp.query)
"""


class Engine:
    """A handler that is locked, a scheduler, and what a daemon tells that."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self.world = world
        self.cluster = cluster
        self.file = world.file("corpus.py", HANDLER)
        uv("lock", "--script", self.file)
        printed = world.json("worker", self.file, "--connect", cluster.address, "--host", "127.0.0.1", "--print")
        self.environment = Path(printed["command"][0]).parents[1]
        self._began = 0

    def begin(self, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
        """Start ``nectar worker``, and where it writes."""
        self._began += 1
        place = self.world.directory / f"worker{self._began}.out"
        with place.open("w") as said:
            where = ("--connect", self.cluster.address)
            return self.world.begin("worker", self.file, *where, *arguments, stdout=said, stderr=said), place

    def tell(self, **others: str) -> None:
        """As the handler's daemon does."""
        import distributed

        found = marker.read(self.environment)
        assert found is not None
        told = {"nectar": __version__, "distributed": version("distributed"), "python": found.python_version[:4]}
        told |= {"key": found.portable, "lock": found.digests["lock"], "told": str(time.time()), **others}
        make: Any = distributed.Client  # it has no types
        with make(self.cluster.address, set_as_default=False) as client:
            client.set_metadata(["nectar", "corpus", told["key"]], told)

    def count(self) -> int:
        """Workers that the scheduler knows, by its log: a client of Dask's takes as long as a test."""
        log = self.cluster.log()
        return log.count(" - Register worker ") - log.count(" - Remove worker ")

    def processes(self) -> list[str]:
        """Those that run in the handler's environment."""
        found = subprocess.run(["pgrep", "-f", f"{self.environment}/bin/python"], capture_output=True, text=True, check=False)
        return found.stdout.split()


@pytest.fixture
def engine(world: World, tmp_path: Path) -> Iterator[Engine]:
    cluster = Cluster(tmp_path)
    try:
        yield Engine(world, cluster)
    finally:
        cluster.close()


@pytest.mark.waits
def test_a_worker_waits_for_the_daemon_serves_and_goes_with_its_command(engine: Engine) -> None:
    """All in one, because each start of Dask takes seconds."""
    begun, place = engine.begin()
    until(lambda: "Waits until the daemon of 'corpus' tells" in place.read_text(), "it waits, and Dask is compiled")
    printed = engine.world.run(
        "worker", engine.file, "--connect", engine.cluster.address, "--insecure", "--host", "$HERE", "--print"
    )
    by_itself = engine.world.directory / "printed.out"
    with by_itself.open("w") as said:
        environ = {**os.environ, "HERE": "127.0.0.1"}
        by_hand = subprocess.Popen(["sh", "-c", printed.stdout], env=environ, stdout=said, stderr=said)
    until(lambda: "waits until the daemon of 'corpus' tells" in by_itself.read_text(), "what was printed does, too")
    assert engine.count() == 0
    engine.world.node()
    where = f"NECTAR_DASK_ADDRESS={engine.cluster.address}"
    engine.world.run("launch", engine.file, "--env", where, "--attach", "alice")
    until(lambda: "✅ Serving 'corpus' as tcp://127.0.0.1:" in place.read_text(), "it serves")
    until(lambda: engine.count() == 2, "what was printed serves, too")
    by_hand.terminate()
    assert by_hand.wait(60) in (0, 1)
    until(lambda: engine.count() == 1, "it is gone")
    engine.world.put("asked")
    assert engine.world.answer("asked")["result"] == {"value": 3}
    begun.terminate()
    assert begun.wait(60) == 143
    engine.world.run("stop", "corpus")
    assert not engine.processes()


@pytest.mark.soak
@WHOLE
def test_a_worker_is_started_again_and_leaves_nothing(engine: Engine) -> None:
    begun, place = engine.begin("--workers", "2")
    until(lambda: "Waits until" in place.read_text(), "it waits")
    engine.tell()
    until(lambda: place.read_text().count("✅ Serving") == 2, "both have heard that they are there")
    assert engine.count() == 2
    engine.cluster.scheduler.kill()
    until(lambda: "It is tried again" in place.read_text(), "the scheduler is missed")
    assert "during heartbeat" not in place.read_text(), "Dask tells of it by pages of tracebacks"
    engine.cluster.restart()
    engine.tell()
    until(lambda: engine.count() == 2, "both are there again")
    begun.kill()
    until(lambda: not engine.processes(), "nothing is left")
    again, place = engine.begin()
    until(lambda: engine.count() == 1, "another is there")
    again.send_signal(signal.SIGINT)
    assert again.wait(60) == 130
    engine.cluster.scheduler.kill()
    engine.cluster.restart()
    engine.tell(key="0123456789abcdef0123")
    another, place = engine.begin()
    assert another.wait(60) == 4
    assert re.search(r"has something else than this worker: environment \w{12} here, 0123456789ab there\.\n", place.read_text())
    assert not engine.processes()


@pytest.mark.soak
@WHOLE
def test_other_code_wants_other_workers_and_leaves_those_of_others_alone(engine: Engine) -> None:
    engine.cluster.add(2)  # somebody's, who has the cluster for something else
    begun, place = engine.begin()
    engine.world.node()
    engine.world.run("launch", engine.file, "--env", f"NECTAR_DASK_ADDRESS={engine.cluster.address}", "--attach", "alice")
    until(lambda: "✅ Serving" in place.read_text(), "it serves")
    for number in range(10):
        engine.world.put(f"first{number}")
    assert {engine.world.answer(f"first{number}")["result"]["value"] for number in range(10)} == {3}
    engine.file.write_text(engine.file.read_text().replace("len(comp.query)", "len(comp.query) + 1"))
    assert "the engine had no worker" in engine.world.run("restart", "corpus").stderr
    engine.world.put("waits")
    again, _ = engine.begin()
    assert engine.world.answer("waits")["result"] == {"value": 4}
    assert begun.wait(60) == 4
    again.terminate()
    assert again.wait(60) == 143
    engine.world.home.computations("alice").joinpath("nobody.pending").write_bytes(
        sample("abc", comp_id="nobody", deadline=1).to_json()
    )
    assert engine.world.answer("nobody")["error"] == "No worker of the engine's was there within 1 s."


@pytest.mark.soak
@WHOLE
def test_an_interrupt_while_it_waits(engine: Engine) -> None:
    engine.cluster.scheduler.kill()
    begun, place = engine.begin()
    until(lambda: "Nobody answers at" in place.read_text(), "it waits for a scheduler")
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(60) == 143
    engine.cluster.restart()
    begun, place = engine.begin()
    until(lambda: "Waits until" in place.read_text(), "it waits for the daemon")
    begun.send_signal(signal.SIGINT)
    now = time.monotonic()
    assert begun.wait(60) == 130
    assert time.monotonic() - now < 30
    assert not engine.processes()
    engine.tell()
    assert engine.count() == 0


@pytest.mark.parametrize(
    ("change", "arguments", "code", "said"),
    [
        ("no lock", (), 5, "uv lock --script"),
        ("no library", (), 5, "uv add --script"),
        ("", ("--connect", "10.0.0.1"), 2, "Questions are private"),
        ("", ("--connect", "127.0.0.1:1", "--print"), 2, "--print needs --host"),
        ("", ("--connect", "127.0.0.1", "--host", "198.51.100.213"), 3, "no address"),
    ],
)
def test_what_cannot_be_a_worker(world: World, change: str, arguments: tuple[str, ...], code: int, said: str) -> None:
    file = world.file("corpus.py", HANDLER.replace('"distributed"', "") if change == "no library" else HANDLER)
    if change == "no library":
        uv("lock", "--script", file)
    options = arguments or ("--connect", "127.0.0.1", "--host", "127.0.0.1", "--print")
    assert said in world.run("worker", file, *options, code=code).stderr
