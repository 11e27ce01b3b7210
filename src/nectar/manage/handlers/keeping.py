"""The variables that a handler was given, kept beside its record: both are there, or neither, whenever who writes them is killed."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from nectar import ownership
from nectar.home import NAME_PATTERN
from nectar.locks import Busy, hold
from nectar.manage.daemon.given import Given
from nectar.manage.files.writing import write_whole
from nectar.manage.handlers import registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nectar.home import Home

_UNRECORDED = ".unrecorded"
"""Ends the name of an empty file that is there while the variables and the record that they belong to are not both whole."""
_BESIDE = re.compile(r"(.+)\.env(\.unrecorded(?:\.new)?|\.new|\.[0-9]+\.new)")
"""That one, and variables that are being written: as this version calls it, and as 0.1.0 did."""


@contextmanager
def keep(home: Home, name: str, given: Given) -> Iterator[None]:
    """Keep variables for later starts; what was there before comes back when the block fails. To be used in the name's turn.

    :param given: belongs to the record that the block writes. Where that is killed, :func:`sweep` sees it.
    """
    path, mark = home.variables(name), _mark(home, name)
    before = ownership.read(path) if path.exists() else None
    record = registry.read(home).get(name)
    if record is None:
        mark.touch(0o600)
    else:
        write_whole(mark, json.dumps({"started": record.started, "variables": before and before.decode()}).encode())
    try:
        _write(path, None if given == Given() else json.dumps(vars(given)).encode())
        yield
    except BaseException:
        _write(path, before)
        raise
    finally:
        mark.unlink(missing_ok=True)


@contextmanager
def forget(home: Home, name: str) -> Iterator[None]:
    """Remove what is kept once the block has removed the record. To be used in the name's turn.

    Where that ends in between, the next command's :func:`sweep` sees by the record what is to be done.
    """
    _mark(home, name).touch(0o600)
    yield
    _forget(home, name)


def sweep(home: Home) -> None:
    """Remove what commands left when they were killed: variables that were being written, or that no record was written for.

    Where there is an older record, its variables come back.
    """
    left = _left(home)
    newer = {name for name, record in registry.read(home).items() if record.is_newer} if left else set()
    for name in left.keys() - newer:
        paths = left[name]
        with suppress(Busy, OSError), hold(home.turn(name), wait=False):  # else they are being written, or cannot be removed now
            record = registry.read(home).get(name)
            if _mark(home, name) not in paths:
                pass
            elif record is None:
                _forget(home, name)
                home.turn(name).unlink(missing_ok=True)
            else:
                _put_back(home, name, record.started)
            for path in paths:
                path.unlink(missing_ok=True)


def _put_back(home: Home, name: str, started: float | None) -> None:
    """The variables that a record had, where that one is still there and was to get others."""
    try:
        fields = json.loads(ownership.read(_mark(home, name)))
        if fields["started"] == started:
            _write(home.variables(name), fields["variables"] and fields["variables"].encode())
    except (ValueError, KeyError, TypeError):  # of an end, or broken off before anything else was written
        pass


def _forget(home: Home, name: str) -> None:
    for path in (home.variables(name), *_left(home).get(name, [])):
        path.unlink(missing_ok=True)


def _mark(home: Home, name: str) -> Path:
    path = home.variables(name)
    return path.with_name(f"{path.name}{_UNRECORDED}")


def _left(home: Home) -> dict[str, list[Path]]:
    """The files beside those that are read, by the handler's name."""
    found: dict[str, list[Path]] = {}
    names = os.listdir(home.handlers) if home.handlers.is_dir() else []
    for match in filter(None, map(_BESIDE.fullmatch, names)):
        if NAME_PATTERN.fullmatch(match[1]):
            found.setdefault(match[1], []).append(home.handlers / match[0])
    return found


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, content)
