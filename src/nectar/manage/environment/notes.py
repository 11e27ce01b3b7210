"""What an environment held when it was built, and which of its files have been changed since.

The notes of a file are its size, times and inode, so that a look is quick, and a digest, which decides where they are others: who
moves a data dir to another disk, or changes modes, has changed no content. What was added does not count, and bytecode neither; but
what steers the interpreter does. The file is ``{"schema": 1, "files": {path: note}}``, with paths relative to the environment.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nectar.locks import Busy, hold
from nectar.manage.environment import steering
from nectar.manage.environment.marker import NOTES
from nectar.manage.files import authored
from nectar.manage.files.writing import write_whole
from nectar.regular import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = 1
_LIMIT = 512 * authored.MEBIBYTE

Note: TypeAlias = list[int | str]
"""Size, times of content and of status in nanoseconds, inode, and the SHA-256 of the content (of a link, of what it says)."""


def take(venv: Path) -> dict[str, Note]:
    """Note all files and links of an environment, by path relative to it, and read each once.

    A file that is another one's too, under another name, is made one of its own first.
    """
    found: dict[str, Note] = {}
    for path in _files(venv):
        place = venv / path
        status = place.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            _part(place)
            status = place.lstat()
        digest = _digest(place, status)
        if digest is not None:
            found[path] = [*_figures(status), digest]
    return found


def write(venv: Path, found: dict[str, Note]) -> None:
    """Have the notes lie beside what they are of."""
    write_whole(venv / NOTES, json.dumps({"schema": SCHEMA, "files": found}, separators=(",", ":")).encode())


def find_changed(venv: Path) -> list[str]:
    """The files, relative to an environment that has notes, that are no longer as they were; the notes themselves may be among them.

    Where all of them have their content, notes that did not know them again are renewed, if they can be.
    """
    known = _read(venv)
    if known is None:
        return [NOTES]
    root = f"{venv}{os.sep}"
    suspect: dict[str, os.stat_result | None] = {}
    for path, note in known.items():
        try:
            status = os.lstat(root + path)
        except (OSError, ValueError):
            suspect[path] = None
            continue
        if note[:4] != [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]:
            suspect[path] = status
    if not suspect:
        return steering.find_added(venv, known)
    differing = []
    for path, now in suspect.items():
        if now is not None and now.st_size == known[path][0] and _digest(venv / path, now) == known[path][4]:
            known[path] = [*_figures(now), known[path][4]]
        else:
            differing.append(path)
    if not differing:
        _renew(venv, known)
    return differing or steering.find_added(venv, known)


def _read(venv: Path) -> dict[str, Note] | None:
    try:
        found = authored.parse_json(read_regular(venv / NOTES, _LIMIT, follow=False))
    except (OSError, ValueError):
        return None
    files = found.get("files") if isinstance(found, dict) and found.get("schema") == SCHEMA else None
    if not isinstance(files, dict) or not all(type(note) is list and len(note) == 5 for note in files.values()):
        return None
    return files


def _renew(venv: Path, found: dict[str, Note]) -> None:
    try:
        with hold(venv.parent / ".locks" / f"{venv.name}.notes", wait=False):
            write(venv, found)
    except (OSError, Busy):  # then the next one looks as closely
        pass


def _files(venv: Path) -> Iterator[str]:
    for directory, below, names in os.walk(venv):
        below[:] = [name for name in below if name != "__pycache__"]
        place = os.path.relpath(directory, venv)
        # A link to a directory is listed as one.
        for name in [*names, *(name for name in below if os.path.islink(os.path.join(directory, name)))]:
            path = os.path.normpath(os.path.join(place, name))
            if not name.endswith(".pyc") and path != NOTES:
                yield path


def _figures(status: os.stat_result) -> Note:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(place: Path, status: os.stat_result) -> str | None:
    """None where it is neither a file nor a link, or cannot be read."""
    try:
        if stat.S_ISLNK(status.st_mode):
            return hashlib.sha256(os.fsencode(os.readlink(place))).hexdigest()
        descriptor, _ = open_regular(place, follow=False)
        with open(descriptor, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            raise
        return None


def _part(place: Path) -> None:
    import shutil  # which commands that build nothing do without

    aside = place.with_name(".nectar-part")
    shutil.copy2(place, aside)
    aside.replace(place)
