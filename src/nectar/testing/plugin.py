"""The pytest plugin: the fixture ``computation``.

pytest finds it where ``nectar dev`` was run. It works with whatever pytest the handler's project has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.api.computation import Computation


@pytest.fixture(name="computation")
def computation_factory() -> Callable[..., Computation]:
    """Makes a question: ``computation(query="abc", deadline=5)``; fields that are left out get plausible values."""
    return sample
