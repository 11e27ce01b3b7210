"""Time that a test moves, for what sleeps between two looks; locks of others; and nodes of its own, of which nothing is left open."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from tests.units.nodes import Nodes
from tests.world import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeNodes = Callable[..., Nodes]


class Clock:
    """:ivar at: what happens at a second, once."""

    def __init__(self) -> None:
        self.now = 64.0
        self.at: tuple[float, Callable[[], object]] | None = None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.at is not None and self.now >= 64 + self.at[0]:
            happens, self.at = self.at[1], None
            happens()

    @property
    def seconds(self) -> float:
        return round(self.now - 64, 6)


@contextmanager
def locked(path: Path, kind: int) -> Iterator[int]:
    """Somebody else's lock of that kind, whose descriptor the test may close."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, kind)
    try:
        yield descriptor
    finally:
        with suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


@pytest.fixture
def make_nodes() -> Iterator[MakeNodes]:
    """What makes some, given their names and the handler's settings; in memory, where they take half as long."""
    made: list[Nodes] = []
    with TemporaryDirectory(prefix="nectar-nodes-", dir=memory()) as directory:

        def make(*names: str, **settings: Any) -> Nodes:
            made.append(Nodes(Path(directory, "data"), *names, **settings))
            return made[-1]

        yield make
        for nodes in made:
            nodes.close()


@pytest.fixture
def nodes(make_nodes: MakeNodes) -> Nodes:
    """Two nodes, one of which has two questions that an event told of."""
    made = make_nodes("one", "two").begin()
    made.put("one", "a", "b")
    made.hint("one", "a")
    made.hint("one", "b")
    made.go(0)
    return made
