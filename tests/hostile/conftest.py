"""What user code and strangers that mean harm act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.hostile.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World


@pytest.fixture
def stage(request: pytest.FixtureRequest, world: World) -> Stage:
    """A world for the villain, which the test launches; behind a wall where the test's parameter says so."""
    return Stage(world, walled=getattr(request, "param", "") == "walled" or needs.WALLED)


@pytest.fixture
def in_memory(stage: Stage) -> Iterator[None]:
    """The directory of the stage's node is in memory."""
    with stage.in_memory():
        yield


@pytest.fixture
def stages(world: World) -> Callable[[str], Stage]:
    """The same for several handlers in one world, by name."""
    return lambda name: Stage(world, name, walled=needs.WALLED)
