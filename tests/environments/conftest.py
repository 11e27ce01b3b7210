"""What tests of environments share: a data dir and sources of their own for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments.workbench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    left = [name for name in made.built() if name.startswith(".")]
    assert not left, f"a build left {left}"


@pytest.fixture(autouse=True)
def _plain_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of uv of whoever runs the tests, the cache aside."""
    for name in list(os.environ):
        if name.startswith(("UV_", "NECTAR_")) and name not in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
            monkeypatch.delenv(name)
