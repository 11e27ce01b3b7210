"""Files that are there whole or not at all, whenever who writes them is killed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def place_aside(path: Path) -> Path:
    """Where a file is written before it has its place."""
    return path.with_name(f"{path.name}.new")


def write_whole(path: Path, content: bytes, *, synced: bool = False) -> None:
    """Write a file, mode 0600, in one step, under a lock that lets nobody else write it.

    So what is written aside has one name, and who was killed over it leaves one file, until the next one writes.

    :param synced: have it survive a power cut.
    :raises OSError: with the file's name.
    """
    aside = place_aside(path)
    aside.unlink(missing_ok=True)
    try:
        with open(aside, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a write tells of none
            error.filename = str(path)
        raise
    if synced:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
