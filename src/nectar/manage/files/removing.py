"""Removing directories that others have written to."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def remove_tree(top: Path) -> None:
    """Remove a directory with all in it, however deep it lies, and whatever its modes are. What cannot be removed stays."""
    with suppress(RecursionError):
        shutil.rmtree(top, ignore_errors=True)
    with suppress(OSError):
        if top.is_dir() and not top.is_symlink():
            _flatten(top)


def _flatten(top: Path) -> None:
    """The same, with each directory moved up before it is looked into: no path gets longer, and no call is within another."""
    os.chmod(top, 0o700)
    heap = tempfile.mkdtemp(dir=top)
    waiting, count = [os.fspath(top)], 0
    while waiting:
        place = waiting.pop()
        with os.scandir(place) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries if entry.path != heap]
        for path, is_directory in found:
            if not is_directory:
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            count += 1
            moved = os.path.join(heap, str(count))
            os.rename(path, moved)
            waiting.append(moved)
        if place != os.fspath(top):
            os.rmdir(place)
    os.rmdir(heap)
    os.rmdir(top)
