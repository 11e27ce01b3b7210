"""``nectar demo``: the whole way, and nothing left behind."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.world import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

pytestmark = pytest.mark.uv


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its directory."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    return directory


def test_it_shows_each_step_and_leaves_nothing(world: World, temporary: Path) -> None:
    shown = world.run("demo", env={"TMPDIR": str(temporary)}).stdout
    steps = [
        "$ cd ",
        "$ mkdir -p ",
        "$ nectar new ",
        "$ nectar launch ",
        "$ nectar attach ",
        "$ echo ",
        '"value": 84',
        "$ nectar view",
        "running  my_handler_v1",
        "$ nectar logs ",
        "alice -: attached",
        "$ nectar stop ",
        "$ rm -r ",
    ]
    for step in steps:
        _, found, shown = shown.partition(step)
        assert found, step
    assert not list(temporary.glob("nectar-demo-*"))
    assert not world.home.registry.exists()


def test_it_is_kept_when_asked(world: World, temporary: Path) -> None:
    world.run("demo", "--keep", env={"TMPDIR": str(temporary)})
    (kept,) = temporary.glob("nectar-demo-*")
    assert (kept / "bee-hive" / "nectar" / "handlers.json").exists()


def test_an_interrupt_leaves_nothing(world: World, temporary: Path) -> None:
    process = world.begin("demo", env={"TMPDIR": str(temporary)}, start_new_session=True)
    until(lambda: list(temporary.glob("*/bee-hive/nectar/handlers.json")), "the handler is launched")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert not list(temporary.glob("nectar-demo-*"))
