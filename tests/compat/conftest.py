"""What 0.1.0 left, laid out in a directory of its own."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.compat.before import Left
from tests.compat.recording import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = json.loads(Path(__file__).with_name("0.1.0.json").read_bytes())


@pytest.fixture
def left(tmp_path: Path, shared: Path) -> Iterator[Left]:
    """What 0.1.0 left."""
    lay_out(RECORDED["entries"], tmp_path)
    with made(tmp_path, shared) as world:
        yield world


@pytest.fixture
def bare(tmp_path: Path, shared: Path) -> Iterator[Left]:
    """The same, with its environments gone."""
    lay_out(RECORDED["entries"], tmp_path, environments=False)
    with made(tmp_path, shared) as world:
        yield world


@contextmanager
def made(directory: Path, shared: Path) -> Iterator[Left]:
    """The world in a directory. What rides beside its environments is today's, and the one that other tests have had."""
    world = Left(directory, RECORDED["replies"])
    kept = shared / world.home.runtimes.name
    kept.mkdir(mode=0o700, exist_ok=True)
    world.home.runtimes.rmdir()  # nothing was recorded of it
    kept.rename(world.home.runtimes)
    yield world
    world.close()
    world.home.runtimes.rename(kept)
