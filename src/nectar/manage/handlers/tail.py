"""The lines of a file that grows, and is another from time to time: what it held before is in ``{file}.1``."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

from nectar import ownership

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Tail:
    """Its lines, without their ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""

    def history(self, last: int | None, *, whole: bool) -> list[str]:
        """Those that are there, the rotated part's too.

        :param last: at most so many of them; None is all.
        :param whole: leave one that has only begun for later.
        """
        self._file = _open(self._path)
        lines = deque(self._file or (), maxlen=last)
        self._rest = lines.pop() if whole and lines and not lines[-1].endswith(b"\n") else b""
        older = _open(self._path.with_name(f"{self._path.name}.1")) if last is None or len(lines) < last else None
        if older is not None:
            with older:
                if self._file is None or not _is_same(older, self._file):  # it was rotated a moment ago
                    lines.extendleft(reversed(deque(older, maxlen=None if last is None else last - len(lines))))
        return [_text(line) for line in lines]

    def more(self) -> Iterator[str]:
        """Those that have come since, and are whole."""
        while True:
            self._file = self._file or _open(self._path)
            if self._file is None:
                return
            replaced = self._is_replaced(self._file)
            for line in self._file:
                self._rest += line
                if self._rest.endswith(b"\n"):
                    yield _text(self._rest)
                    self._rest = b""
            if replaced:
                self._file.close()
                self._file = None
            elif self._file.tell() > os.fstat(self._file.fileno()).st_size:  # somebody has emptied it
                self._file.seek(0)
            else:
                return

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_replaced(self, file: BinaryIO) -> bool:
        """Whether the name is another file's by now, and all that will come of this one is in it."""
        try:
            named = self._path.stat()
        except FileNotFoundError:  # it is still written to, until there is another one
            return False
        return not os.path.samestat(named, os.fstat(file.fileno()))


def _open(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb", opener=ownership.opener)
    except FileNotFoundError:
        return None


def _is_same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))


def _text(line: bytes) -> str:
    return line.rstrip(b"\n").decode(errors="backslashreplace")
