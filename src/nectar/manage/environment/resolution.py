"""What was resolved for handlers that have no lock of their own: kept, so that every verb sees the same versions."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from nectar.locks import hold
from nectar.manage.files.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nectar.home import Home


def key_of(plan: str, index: str, *, wheels: bool = False) -> str:
    """By which a resolution is kept: 20 hexadecimal digits.

    :param plan: the digest of what decides it in a plan.
    :param index: that of uv's settings.
    :param wheels: whether only versions with wheels were resolved.
    """
    return hashlib.sha256(f"{plan} {index}{' wheels' if wheels else ''}".encode()).hexdigest()[:20]


def use(home: Home, key: str) -> bytes | None:
    """The lock that is kept, if there is one; from now on it is one that was used lately, by which ``gc`` goes."""
    try:
        content = _place(home, key).read_bytes()
    except OSError:
        return None
    with suppress(OSError):
        os.utime(_place(home, key))
    return content


@contextmanager
def guard(home: Home, key: str) -> Iterator[None]:
    """One command at a time resolves the same."""
    with hold(_place(home, key).with_suffix(".guard")):
        yield


def keep(home: Home, key: str, content: bytes) -> None:
    """Keep a lock."""
    write_whole(_place(home, key), content, synced=True)


def forget(home: Home, key: str) -> None:
    """Keep it no longer."""
    _place(home, key).unlink(missing_ok=True)


def _place(home: Home, key: str) -> Path:
    return home.resolutions / f"{key}.lock"
