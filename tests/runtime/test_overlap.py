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
def loads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the PID of each worker that has begun to load the handler."""
    return tmp_path_factory.mktemp("loads") / "loads"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, loads: Path) -> Iterator[Running]:
    with launched(tmp_path_factory.mktemp("world"), "slow.py", "--env", f"LOADS={loads}") as running:
        yield running


def test_the_next_worker_is_the_one_that_loaded_meanwhile(slow: Running, loads: Path) -> None:
    node = slow.attached()
    node.put("stays", "stay", deadline=4)
    node.put("waits", "number")
    assert node.answer("stays")["status"] == "timeout"
    assert [node.answer("waits")["result"]["value"]] == [int(pid) for pid in loads.read_text().split()[1:]]


@pytest.mark.waits
@needs.proc
def test_one_that_was_loaded_for_nothing_ends(slow: Running, loads: Path) -> None:
    node = slow.attached()
    pid = node.ask("number")["result"]["value"]
    before = len(loads.read_text().split())
    assert node.ask("until the next one loads", deadline=20)["result"] == {"value": pid}
    assert len(loads.read_text().split()) == before + 1
    until(lambda: slow.processes() == [pid], "only the worker that answered is there")
