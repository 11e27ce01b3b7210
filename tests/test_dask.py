"""An executor on a Dask cluster: it keeps the contract, whatever becomes of the cluster's processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from nectar.api.context import ends
from nectar.testing import contract, executor_contract
from tests.engine import Cluster
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nectar.runtime.worker.dask import DaskExecutor

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        made.add(2)
        yield made
    finally:
        made.close()


@pytest.mark.waits
def test_on_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """All in one, because each process that runs tests would start a cluster of its own."""
    keeps_the_contract(cluster)
    (tmp_path / "shown").mkdir()
    a_task_has_the_deadline_of_its_question(cluster)
    nothing_shows(cluster, tmp_path / "shown")
    (tmp_path / "begun").mkdir()
    a_worker_that_dies_ends_the_task_that_it_runs_and_no_other(cluster, tmp_path / "begun")
    a_lost_scheduler_is_told_once(cluster)


def keeps_the_contract(cluster: Cluster) -> None:
    keeps = executor_contract(lambda: connect(cluster))
    for clause in contract._CLAUSES:
        keeps(clause)


def connect(cluster: Cluster, **more: Any) -> DaskExecutor:
    from nectar.runtime.worker.dask import DaskExecutor  # half as long to import as all else that is collected, in each process

    return DaskExecutor(cluster.address, **more)


@contextlib.contextmanager
def executor(cluster: Cluster) -> Iterator[DaskExecutor]:
    made = connect(cluster, name="corpus")
    try:
        yield made
    finally:
        made.shutdown(wait=False)


def a_task_has_the_deadline_of_its_question(cluster: Cluster) -> None:
    with executor(cluster) as engine:
        before = {engine.submit(os.getppid).result(60) for _ in range(20)}
        token = ends.set(time.monotonic() + 0.3)
        late = [engine.submit(time.sleep, 600) for _ in range(2)]
        ends.reset(token)
        assert engine.submit(os.getpid).result(60)  # their places are free again
        for future in late:
            with pytest.raises(TimeoutError, match=r"it took longer than 0\.\d\d s, and was ended"):
                future.result(60)
        ended = engine.submit(os._exit, 7)
        with pytest.raises(RuntimeError, match="its process ended with exit code 7 before it had a result"):
            ended.result(60)
        # None of it was the end of a process of the engine's.
        assert {engine.submit(os.getppid).result(60) for _ in range(20)} <= before | {worker.pid for worker in cluster.workers}


def nothing_shows(cluster: Cluster, begun: Path) -> None:
    with executor(cluster) as engine:
        asked = "int('whether-seven')", "(_ for _ in ()).throw(OSError('whether-lost'))", "'whether-good'"
        futures = [engine.submit(eval, text) for text in asked]
        mark = begun / "whether"
        futures.append(engine.submit(eval, f"open({str(mark)!r}, 'w').close() or __import__('time').sleep(1)"))
        until(mark.exists, "one runs")
        pages = cluster.pages()
        for future in futures:
            future.exception(60)
            assert "whether" not in repr(future)
    assert any("corpus-" in page for page in pages.values())
    assert {name for name, page in pages.items() if "whether" in page} == set()
    assert "whether" not in cluster.log()


def a_worker_that_dies_ends_the_task_that_it_runs_and_no_other(cluster: Cluster, begun: Path) -> None:
    with executor(cluster) as engine:
        victim, *_ = [each.result(60) for each in [engine.submit(os.getppid) for _ in range(8)]]
        over = begun / "over"
        waits = f"[__import__('time').sleep(0.02) for _ in iter(lambda: __import__('os').path.exists({str(over)!r}), True)]"
        slow = [f"open({str(begun / name)!r}, 'w').close() or {waits}" for name in "ab"]
        futures = [engine.submit(eval, text) for text in (*slow, "7", "7")]
        until(lambda: len([*begun.iterdir()]) == 2, "both workers run one")
        os.kill(victim, signal.SIGKILL)
        over.touch()
        errors = [future.exception(60) for future in futures]
        assert sorted(map(str, filter(None, errors))) == ["the engine's worker died while it ran it"]
        assert errors[2:] == [None, None]
        cluster.add()


def a_lost_scheduler_is_told_once(cluster: Cluster) -> None:
    told: list[str] = []
    engine = connect(cluster, lost=lambda: told.append("lost"))
    futures: list[Future[None]] = [engine.submit(time.sleep, 600) for _ in range(4)]
    cluster.scheduler.kill()
    for future in futures:
        assert isinstance(future.exception(60), BrokenExecutor)
    until(lambda: told, "it is told")
    with pytest.raises(BrokenExecutor, match="the connection to the engine's scheduler was lost"):
        engine.submit(abs, -1)
    engine.shutdown()
    assert told == ["lost"]
    told.clear()
    cluster.restart()
    idle = connect(cluster, lost=lambda: told.append("idle"), gives_up=True)
    assert not idle.has_workers()
    token = ends.set(time.monotonic() + 1)
    waiting = [idle.submit(abs, -1) for _ in range(3)]
    ends.reset(token)
    for future in waiting:
        with pytest.raises(TimeoutError, match="no worker of the engine's was there for it by its deadline"):
            future.result(60)
    cluster.scheduler.kill()
    until(lambda: told == ["idle"], "it is told where nothing is waited for")
    idle.shutdown()


CONNECTS = """
import os, sys
from nectar.errors import NectarError
from nectar.runtime.worker.dask import connect
files = dict.fromkeys(("tls_ca", "tls_cert", "tls_key"))
try:
    connect({"address": sys.argv[1], "timeout": 0.5, "given": None, **files}, {"key": "k", "lock": None}, "corpus")
except NectarError as error:
    print(error.message, error.hint, sep="\\n", flush=True)
    os._exit(0)
"""


def test_what_is_no_scheduler_is_told_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # it takes a connection, and says nothing
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        ended = subprocess.run([sys.executable, "-c", CONNECTS, address], capture_output=True, text=True, timeout=100, check=False)
    assert ended.stdout.splitlines() == [
        f"No Dask scheduler answers at {address}: what is there does not answer as one of distributed {version('distributed')} does.",
        "Look whether one runs there, and correct address under [tool.nectar.dask], and whether it wants TLS (tls_ca, tls_cert, tls_key).",
    ], ended.stderr
