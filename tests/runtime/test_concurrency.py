"""Several computations at once in one worker, for real: plain functions in threads, async ones as tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.runtime.conftest import launched
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.conftest import Node, Running


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with launched(tmp_path_factory.mktemp("world"), "several.py", "--handler", "threads") as running:
        yield running


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with launched(tmp_path_factory.mktemp("world"), "several.py", "--handler", "tasks") as running:
        yield running


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with launched(tmp_path_factory.mktemp("world"), "several.py", "--handler", "tasks", walled=True) as running:
        yield running


@pytest.fixture(params=["threads", "tasks", pytest.param("walled", marks=[needs.wall, pytest.mark.once])])
def running(request: pytest.FixtureRequest) -> Running:
    found: Running = request.getfixturevalue(request.param)
    return found


class Neighbour:
    """A computation that runs until it is let go."""

    def __init__(self, running: Running, node: Node) -> None:
        self.node = node
        self.file = file = running.notes / node.alias
        node.put("neighbour", f"wait {file}")
        until(lambda: self.runs == 1, "the neighbour runs")

    @property
    def runs(self) -> int:
        runs = self.file.with_name(f"{self.file.name}.runs")
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    def finish(self) -> None:
        self.file.touch()
        assert self.node.answer("neighbour")["result"] == {"value": 1}


def test_four_run_at_once_and_a_fifth_waits(running: Running) -> None:
    node = running.attached()
    for number in range(8):
        node.put(f"q{number}", "meet")
    for number in range(8):
        assert node.answer(f"q{number}")["result"] == {"value": 1}
    assert [worker["state"] for worker in running.status()["workers"]] == ["idle"]


@pytest.mark.parametrize(
    ("query", "error"), [("raise no", "StopIteration"), ("exit bye", "SystemExit: bye"), ("fork", None), ("number", None)]
)
def test_what_goes_wrong_costs_one_answer(running: Running, query: str, error: str | None) -> None:
    node = running.attached()
    neighbour = Neighbour(running, node)
    answer = node.ask(query)
    if error is None:
        assert answer["result"] == {"value": 1}
    else:
        assert error in answer["error"]
    neighbour.finish()
    assert neighbour.runs == 1


def test_one_that_takes_the_worker_down_costs_its_neighbour_nothing_but_another_run(running: Running) -> None:
    node = running.attached()
    neighbour = Neighbour(running, node)
    node.put("deadly", "kill")
    until(lambda: neighbour.runs == 2, "the neighbour runs again")
    neighbour.finish()
    assert "The worker was ended by SIGKILL" in node.answer("deadly")["error"]
    told = "A worker was ended by SIGKILL; this computation, which it had beside others, is run again, by itself."
    for name in ("deadly", "neighbour"):
        assert f"WARNING {node.alias} {name}: {told}\n" in running.log()


def test_a_thread_that_overstays_is_ended_with_its_worker(threads: Running) -> None:
    node = threads.attached()
    neighbour = Neighbour(threads, node)
    before = node.ask("loaded")["result"]["value"]
    assert node.ask("sleep 60", deadline=1)["status"] == "timeout"
    until(lambda: neighbour.runs == 2, "the neighbour runs again")
    assert node.ask("loaded")["result"]["value"] != before
    neighbour.finish()


def test_a_task_that_overstays_is_cancelled_and_its_neighbours_go_on(tasks: Running) -> None:
    node = tasks.attached()
    neighbour = Neighbour(tasks, node)
    before = node.ask("loaded")["result"]["value"]
    assert node.ask("sleep 60", deadline=0.5)["status"] == "timeout"
    assert node.ask("loaded")["result"]["value"] == before
    neighbour.finish()
    assert neighbour.runs == 1


@pytest.mark.parametrize("query", ["stay", "spin"])
def test_a_task_that_cannot_be_cancelled_is_ended_with_its_worker(tasks: Running, query: str) -> None:
    node = tasks.attached()
    neighbour = Neighbour(tasks, node)
    assert node.ask(query, deadline=0.5)["status"] == "timeout"
    until(lambda: neighbour.runs == 2, "the neighbour runs again")
    neighbour.finish()
