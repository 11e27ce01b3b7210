"""nectar_answered, in a worker: after the answer, and before the next question of its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.conftest import launched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.conftest import Running
    from tests.world import World


@pytest.fixture(scope="module", params=[1, 2])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The handler, with so many computations at once."""
    with launched(tmp_path_factory.mktemp("world"), "after.py", "--concurrency", str(request.param)) as running:
        yield running


def test_it_is_called_after_each_answer_and_knows_it(running: Running) -> None:
    node = running.attached()
    answers = [node.ask(query) for query in ("abc", "fail", "fork", "break", "abc")]
    assert [answer["status"] for answer in answers] == ["success", "error", "success", "success", "success"]
    running.until_logged(f"{node.alias}-5: ComputationResult(")
    name = node.alias
    lines = [line for line in running.log().splitlines() if f" after {name}-" in line]
    called = [line.split("after ")[1].split("execution_time")[0] for line in lines]
    assert called[0] == f"{name}-1 {name}-1: ComputationResult(comp_id='{name}-1', status='success', value=…, error=None, "
    assert called[1].endswith("status='error', value=None, error='ValueError: fail', ")
    assert len(called) == 5  # and what was forked has said nothing


def test_it_delays_no_answer_and_what_it_raises_is_a_warning(running: Running) -> None:
    node = running.attached()
    worker = node.ask("loaded")["result"]["value"]
    answered = running.notes / node.alias
    node.ask(f"wait {answered}")  # or the worker would be ended, because it waits for too long
    answered.touch()
    node.ask("raise no hold")
    running.until_logged(f"WARNING {node.alias} {node.alias}-3: nectar_answered failed: OSError: no hold")
    log = running.log()
    where = log.index("| Traceback", log.index("no hold"))
    assert f'{running.source}", line' in log[where:].splitlines()[1]
    assert "in nectar_answered" in log[where:].splitlines()[1]
    assert node.ask("loaded")["result"]["value"] == worker


def test_one_that_dies_costs_no_answer(running: Running) -> None:
    node = running.attached()
    workers = set()
    for number in range(3):
        assert node.ask("kill")["status"] == "success"
        running.until_logged(f"{node.alias}-{2 * number + 1}: nectar_answered was cut off: the worker was ended by SIGKILL")
        workers.add(node.ask("loaded")["result"]["value"])
    assert len(workers) == 3


@pytest.mark.once
def test_one_that_takes_too_long_is_ended(running: Running) -> None:
    node = running.attached()
    worker = node.ask("loaded")["result"]["value"]
    node.ask("sleep 60")
    running.until_logged(f"{node.alias}-2: nectar_answered took longer than 5 s, and its worker was ended")
    assert node.ask("loaded")["result"]["value"] != worker


def test_nectar_test_calls_it_and_shows_what_goes_wrong(world: World) -> None:
    file = world.file("after.py", Path(__file__).with_name("after.py").read_text(encoding="utf-8"))
    told = world.run("test", file, "--query", "sleep 1.5")
    assert "✅ Handler test passed!" in told.stdout
    assert "after 5eed1e55 5eed1e55" in told.stderr
    failed = world.run("test", file, "--query", "raise no hold", "--repeat", "2", code=1)
    assert "✅ Result: 0" in failed.stdout
    assert "passed" not in failed.stdout
    assert "❌ The handler's nectar_answered failed: OSError: no hold." in failed.stderr
    assert f'File "{file}", line' in failed.stderr
    told = json.loads(world.run("test", file, "--query", "kill", "--json", code=1).stdout)
    assert (told["result"], told["passed"]) == ({"value": 0}, False)
    assert told["error"]["message"] == "The handler's nectar_answered was cut off: the worker was ended by SIGKILL."
