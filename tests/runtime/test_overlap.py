"""What waits behind a question that overstays need not wait for the handler to load, for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.runtime.conftest import launched
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.runtime.conftest import Running

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("world")
    with launched(directory, "slow.py", "--env", f"LOADS={directory / 'notes' / 'loads'}") as running:
        yield running


@pytest.fixture
def loads(slow: Running) -> Path:
    """The file with a number for each worker that has begun to load the handler."""
    return slow.notes / "loads"


def test_the_next_worker_is_the_one_that_loaded_meanwhile(slow: Running, loads: Path) -> None:
    node = slow.attached()
    before = len(loads.read_text().split())
    node.put("stays", "stay", deadline=4)
    node.put("waits", "number")
    assert node.answer("stays")["status"] == "timeout"
    assert [node.answer("waits")["result"]["value"]] == [int(worker) for worker in loads.read_text().split()[before:]]


@pytest.mark.waits
@needs.proc
def test_one_that_was_loaded_for_nothing_ends(slow: Running, loads: Path) -> None:
    node = slow.attached()
    worker = node.ask("number")["result"]["value"]
    before = len(loads.read_text().split())
    assert node.ask("until the next one loads", deadline=20)["result"] == {"value": worker}
    assert len(loads.read_text().split()) == before + 1
    until(lambda: len(slow.processes()) == slow.usual, "only one worker is there")
    assert node.ask("number")["result"] == {"value": worker}
