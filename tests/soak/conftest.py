"""Soak tests: each is marked as one, has all the time that a loaded machine needs, and writes a row into the table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import Ground
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
def ground(world: World) -> Ground:
    """A world for the handler of the soak tests, which the test launches."""
    return Ground(world)


@pytest.fixture
def grounds(world: World) -> Callable[[str], Ground]:
    """The same for several handlers in one world, by name."""
    return lambda name: Ground(world, name)
