"""What gives hints, and which: what is asked of the operating system, by way of :mod:`watcher`, is one of two."""

from __future__ import annotations

import os

from nectar.frozen import Protocol
from nectar.spool.entries import PENDING

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from typing import Any

Hint = tuple[int, bytes]
"""A watch's number and the name of a file, which is empty where all of the directory is to be looked at."""
_PENDING = os.fsencode(PENDING)


class Backend(Protocol):
    def add(self, number: int, path: str) -> object: ...
    def remove(self, watch: Any) -> None: ...
    def alive(self) -> bool: ...
    def close(self) -> None: ...


def may_ask(name: bytes) -> bool:
    return name.endswith(_PENDING)
