"""Reading a handler's log: its last lines, and what comes after them, also across its rotation."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

from nectar import ownership
from nectar.manage.handlers import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from nectar.home import Home

_POLL = 0.1


def read_lines(home: Home, name: str, *, last: int, follow: bool, wanted: Callable[[], bool] = lambda: True) -> Generator[str]:
    """The last lines of a log, and then each further one as it is written.

    :param last: how many; the rotated part counts too.
    :param follow: go on for as long as they are wanted.
    :raises NotFoundError: there is no such handler, and no log of one either.
    """
    path = home.log(name)
    if not path.exists() and name not in registry.read(home):
        raise registry.missing(name)
    return _lines(path, last=last, follow=follow, wanted=wanted)


def _lines(path: Path, *, last: int, follow: bool, wanted: Callable[[], bool]) -> Generator[str]:
    file = _open(path)
    try:
        recent = _recent(path, file, last)
        rest = recent.pop() if follow and recent and not recent[-1].endswith(b"\n") else b""
        yield from map(_text, recent)
        while follow and wanted():
            file = file or _open(path)
            replaced = file is not None and _replaced(path, file)
            for line in file or ():
                rest += line
                if rest.endswith(b"\n"):
                    yield _text(rest)
                    rest = b""
            if file is not None and replaced:
                file.close()
                file = None
            elif file is not None and file.tell() > os.fstat(file.fileno()).st_size:
                file.seek(0)
            else:
                time.sleep(_POLL)
    finally:
        if file is not None:
            file.close()


def _recent(path: Path, file: BinaryIO | None, last: int) -> deque[bytes]:
    """The last lines of a log, those before its rotation included."""
    recent = deque(file or (), maxlen=last)
    older = _open(path.with_name(f"{path.name}.1")) if len(recent) < last else None
    if older is not None:
        with older:
            recent.extendleft(reversed(deque(older, maxlen=last - len(recent))))
    return recent


def _open(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb", opener=ownership.opener)
    except FileNotFoundError:
        return None


def _replaced(path: Path, file: BinaryIO) -> bool:
    """Whether the name is another file's by now; the last lines of this one may not have been read yet."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return True
    opened = os.fstat(file.fileno())
    return (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino)


def _text(line: bytes) -> str:
    return line.rstrip(b"\n").decode(errors="backslashreplace")
