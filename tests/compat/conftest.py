"""What 0.1.0 left, laid out in a directory of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.compat.before import Left
from tests.compat.recording import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = json.loads(Path(__file__).with_name("0.1.0.json").read_bytes())


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Left]:
    """What 0.1.0 left."""
    lay_out(RECORDED["entries"], tmp_path)
    world = Left(tmp_path, RECORDED["replies"])
    yield world
    world.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Left]:
    """The same, with its environments gone."""
    lay_out(RECORDED["entries"], tmp_path, environments=False)
    world = Left(tmp_path, RECORDED["replies"])
    yield world
    world.close()
