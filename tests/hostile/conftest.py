"""User code and strangers that mean harm: each test is a soak test, and writes a row into the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile.stage import Stage
from tests.soak.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.soak)
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    return Row(request.node.name)


@pytest.fixture
def stage(world: World) -> Stage:
    """A world for the villain, which the test launches."""
    return Stage(world)


@pytest.fixture
def stages(world: World) -> Callable[[str], Stage]:
    """The same for several handlers in one world, by name."""
    return lambda name: Stage(world, name)
