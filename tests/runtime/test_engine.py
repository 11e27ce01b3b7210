"""Whole questions on a Dask cluster: what is promised of a handler holds there, whatever becomes of the cluster's processes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import needs
from tests.engine import Cluster
from tests.environments.workbench import uv
from tests.runtime.conftest import Node, Running, launched
from tests.world import until

pytestmark = [pytest.mark.uv, pytest.mark.once, needs.no_wall("an engine's workers have none")]


def test_on_a_cluster(tmp_path: Path) -> None:
    """One after the other, because a cluster and an environment with Dask take seconds."""
    file = tmp_path / "world" / "engined.py"
    file.parent.mkdir()
    shutil.copy(Path(__file__).with_name(file.name), file)
    uv("lock", "--script", file)
    with ExitStack() as stack:
        cluster = Cluster(tmp_path)
        stack.callback(cluster.close)
        where = f"NECTAR_DASK_ADDRESS={cluster.address}"
        running = stack.enter_context(launched(file.parent, file.name, "--env", where))
        stack.callback(cluster.close)  # before what it has from there goes
        node = running.attached()
        nobody_is_there(running, node)
        (environment,) = running.home.envs.glob("*/bin/python")
        (path,) = running.home.runtimes.glob("*/api")
        cluster.add(2, environment, path)
        it_is_answered_there(cluster, running, node)
        what_overstays_or_dies_costs_one_answer(running, node)
        many_at_once(node)
        what_runs_when_its_worker_dies_is_an_error(cluster, node, tmp_path / "go")
        cluster.scheduler.kill()
        running.until_logged("The connection to the engine's scheduler at")
        node.put("meanwhile", "abc")
        assert running.status()["failing"]
        cluster.restart()
        cluster.add(2, environment, path)
        assert node.answer("meanwhile")["result"] == {"value": 3}
        a_run_of_a_scheduler_that_dies_is_the_next_try(cluster, running, node, lambda: cluster.add(1, environment, path))
        assert "ZZ" not in running.log()
        assert {line for line in cluster.log().splitlines() if "ZZ" in line} == {"asked sleep 2 ZZ"}


def nobody_is_there(running: Running, node: Node) -> None:
    assert "the engine had no worker" in running.log()
    answer = node.ask("abc", deadline=0.5)
    assert (answer["status"], answer["error"]) == ("timeout", "No worker of the engine's was there within 0.5 s.")


def it_is_answered_there(cluster: Cluster, running: Running, node: Node) -> None:
    assert node.ask("parent")["result"]["value"] in {worker.pid for worker in cluster.workers}
    assert node.ask("parts")["result"] == {"value": 6}
    error = node.ask("raise it")
    assert (error["status"], error["error"]) == ("error", "ValueError: no")
    running.until_logged(f'{running.source}", line')
    assert "asked raise it" in cluster.log()
    until(lambda: "answered error" in cluster.log(), "the hook was called")
    assert "started <nectar.api.threads.Threads" in cluster.log()


def what_overstays_or_dies_costs_one_answer(running: Running, node: Node) -> None:
    (worker,) = {worker["pid"] for worker in running.status()["workers"]}
    for number in range(2):
        node.put(f"late{number}", "sleep 600", deadline=1)
    assert [node.answer(f"late{number}")["status"] for number in range(2)] == ["timeout"] * 2
    assert node.ask("abc")["result"] == {"value": 3}, "their places are free again"
    ended = node.ask("exit 3")
    assert ended["error"] == "On the engine: its process ended with exit code 3 before it had a result"
    assert {worker["pid"] for worker in running.status()["workers"]} == {worker}


def many_at_once(node: Node) -> None:
    """As many as it has at once, with such as die or fail among them."""
    for number in range(100):
        node.put(f"m{number}", "exit 1" if number % 20 == 7 else "raise" if number % 20 == 9 else "x" * number)
    answers = [node.answer(f"m{number}") for number in range(100)]
    bad = [number for number in range(100) if answers[number]["status"] != "success"]
    assert bad == [number for number in range(100) if number % 20 in (7, 9)]
    assert [answer["result"]["value"] for answer in answers if answer["result"]] == [n for n in range(100) if n not in bad]


def what_runs_when_its_worker_dies_is_an_error(cluster: Cluster, node: Node, go: Path) -> None:
    victim = node.ask("parent")["result"]["value"]
    for number in range(4):
        node.put(f"k{number}", f"wait {go}" if number < 2 else "parent")
    until(lambda: cluster.log().count("asked wait") == 2 and not node.left(), "two run, and two wait")
    os.kill(victim, signal.SIGKILL)
    go.touch()
    answers = [node.answer(f"k{number}") for number in range(4)]
    errors = [answer["error"] for answer in answers if answer["error"]]
    assert errors == ["On the engine: the engine's worker died while it ran it"]


def a_run_of_a_scheduler_that_dies_is_the_next_try(cluster: Cluster, running: Running, node: Node, add: object) -> None:
    assert callable(add)
    begun = time.monotonic()
    node.put("again", "sleep 2 ZZ", deadline=20)
    until(lambda: "asked sleep 2 ZZ" in cluster.log(), "it runs")
    cluster.scheduler.kill()
    cluster.restart()
    add()
    answer = node.answer("again")
    assert answer["result"] == {"value": 10}
    assert answer["execution_time"] == pytest.approx(2, abs=1)
    assert cluster.log().count("asked sleep 2 ZZ") == 2
    assert time.monotonic() - begun > 2
    assert not [name for name in os.listdir(node.directory / ".nectar") if name != "released"]
