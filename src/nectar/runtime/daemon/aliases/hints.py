"""What gives hints, and which: what is asked of the operating system, by way of :mod:`watcher`, is one of two."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from nectar.spool.entries import PENDING

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextmanager
def short_of_threads() -> Iterator[None]:
    """:raises OSError: a thread cannot be started."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None
