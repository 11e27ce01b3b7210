"""A spool in a directory of its own, and what a node would put into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from nectar.spool.spool import Spool
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

MAX_BYTES = 4096

Found = TypeVar("Found")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "alice" / "data" / "computation"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def spool(directory: Path) -> Iterator[Spool]:
    opened = Spool.open(directory, max_bytes=MAX_BYTES)
    yield opened
    if not opened.closed:
        opened.close()


def put(directory: Path, comp_id: str, query: str = "how many?") -> Path:
    """A question, as a node writes it: in place."""
    path = directory / f"{comp_id}.pending"
    path.write_bytes(sample(query, comp_id=comp_id).to_json())
    return path


def whole(scan: Generator[None, None, Found]) -> Found:
    """Go through a scan in one go, and return what it found."""
    while True:
        try:
            next(scan)
        except StopIteration as ended:
            found: Found = ended.value
            return found


def listed(spool: Spool, limit: int = 10) -> tuple[list[str], list[tuple[str, str]]]:
    """Ids of what waits, and what looks as if it did."""
    found = whole(spool.waiting(limit))
    return [*found.questions], found.odd


def died(spool: Spool) -> None:
    """Let go of a spool as the kernel does for a process that is killed."""
    spool.closed = True
    spool.place.close()


def names(directory: Path) -> list[str]:
    """Everything below a directory, by relative path, directories of ours aside."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())
