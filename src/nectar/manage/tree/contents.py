"""What the files of a source hold, as digests. Those of large files are remembered, so that no command reads them only to see that
nothing has changed; the copy for a build is hashed as it is written, whatever is remembered.

A file is taken to be the one that was read when its size, its times, its inode and its device are the same, and neither time was of
the two seconds before the reading: within those a change may leave no trace. What is remembered of a source is a JSON object,
``{"schema": 1, "files": {path: [size, time of content, time of status, inode, device, digest]}}``, with absolute paths, times in
nanoseconds and the SHA-256 in hexadecimal.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar.locks import Busy, hold
from nectar.manage.files import authored
from nectar.manage.files.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home
    from nectar.manage.tree.pieces import Piece

LEAST = 64 * 1024
"""Bytes of a file from which on its digest is remembered; a smaller one is read in no time."""
MOST = 100_000
"""Files of one source that are remembered."""
SETTLED = 2_000_000_000
"""Nanoseconds since a file's last change before it is remembered; no file system counts in larger steps."""
_LIMIT = 64 * 1024 * 1024
_SCHEMA = 1

Mark = tuple[int, int, int, int, int]


class Content(NamedTuple):
    """:ivar size: bytes.
    :ivar digest: the SHA-256 over them.
    """

    size: int
    digest: bytes


def measure(content: bytes) -> Content:
    return Content(len(content), hashlib.sha256(content).digest())


def read(piece: Piece) -> Content:
    """What a piece holds, whatever is remembered."""
    return measure(piece.read())


class Memory:
    """What is known of the files of one source.

    :param place: the file that it is kept in; whatever is wrong with that, nothing is remembered then. None keeps nothing.
    :param trusting: go by what is kept; else all is read anew.
    :param clock: says the time as files have it, in nanoseconds.
    """

    def __init__(self, place: Path | None = None, *, trusting: bool = True, clock: Callable[[], int] = time.time_ns) -> None:
        self._place = place
        self._trusting = trusting
        self._clock = clock
        self._now: dict[str, tuple[Mark, bytes]] = {}

    def look(self, piece: Piece) -> Content:
        """What a piece holds, read only where that is not known."""
        if piece.origin is None or self._place is None:
            return read(piece)
        mark = _mark(piece.origin)
        if mark[0] < LEAST:
            return read(piece)
        name = str(piece.origin)
        known = self._now.get(name) or (self._before.get(name) if self._trusting else None)
        if known is not None and known[0] == mark:
            self._now[name] = known
            return Content(mark[0], known[1])
        begun = self._clock()
        found = read(piece)
        if max(mark[1], mark[2]) + SETTLED < begun and _mark(piece.origin) == mark and found.size == mark[0]:
            self._now[name] = (mark, found.digest)
        return found

    def keep(self) -> None:
        """Remember what was seen, and nothing else, for the next command; one that cannot, or has no data dir yet, is only slower."""
        if self._place is None or self._now == self._before or not self._place.parent.is_dir():
            return
        files = {name: [*mark, digest.hex()] for name, (mark, digest) in list(self._now.items())[:MOST]}
        with suppress(OSError, Busy), hold(self._place.with_suffix(".guard"), wait=False):
            write_whole(self._place, json.dumps({"schema": _SCHEMA, "files": files}).encode())

    @cached_property
    def _before(self) -> dict[str, tuple[Mark, bytes]]:
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fields = json.loads(authored.read_bytes(self._place or Path(os.devnull), _LIMIT))
            if fields["schema"] == _SCHEMA:
                return {name: _entry(*values) for name, values in fields["files"].items()}
        return {}


def place(home: Home, source: str | Path) -> Path:
    """Where it is kept what the files of a source hold."""
    return home.digests / f"{hashlib.sha256(os.fsencode(source)).hexdigest()[:20]}.json"


def _mark(file: Path) -> Mark:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _entry(size: int, changed: int, touched: int, inode: int, device: int, digest: str) -> tuple[Mark, bytes]:
    """:raises ValueError: it is none."""
    mark, found = (size, changed, touched, inode, device), bytes.fromhex(digest)
    if any(type(each) is not int for each in mark) or len(found) != hashlib.sha256().digest_size:
        raise ValueError(digest)
    return mark, found
