"""What the soak tests act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.soak.ground import Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World


@pytest.fixture
def ground(request: pytest.FixtureRequest, world: World) -> Ground:
    """A world for the handler of the soak tests, which the test launches; behind a wall where the test's parameter says so."""
    return Ground(world, walled=getattr(request, "param", "") == "walled" or needs.WALLED)


@pytest.fixture
def in_memory(ground: Ground) -> Iterator[None]:
    """The directories of the ground's nodes are in memory."""
    with ground.in_memory():
        yield


@pytest.fixture
def grounds(world: World) -> Callable[[str], Ground]:
    """The same for several handlers in one world, by name."""
    return lambda name: Ground(world, name, walled=needs.WALLED)
