"""Which environments were built only to try a handler: what ``nectar test`` builds goes again when it has built the next one.

A mark for each lies beside them, with the text of what was tried. It is there before its environment is, and only whoever builds an
environment makes it; ``launch`` takes it away when it uses one, for good.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from nectar.manage.files import authored
from nectar.manage.files.writing import write_whole

if TYPE_CHECKING:
    from nectar.home import Home
    from nectar.manage.source.source import Source


def mark(home: Home, name: str, source: Source) -> None:
    """Say that an environment is built to try a source."""
    write_whole(home.trials / name, _text(source))


def renew(home: Home, name: str) -> None:
    """One that was built for it is used for it again, where it is such a one."""
    with suppress(OSError):
        os.utime(home.trials / name)


def forget(home: Home, name: str) -> None:
    """It is used for something else, or is about to go."""
    with suppress(FileNotFoundError):
        (home.trials / name).unlink()


def find_earlier(home: Home, source: Source, *, before: float) -> list[str]:
    """The names of environments that were built to try a source, as it was then.

    :param before: Unix seconds: those that were built or used for it since then are left out.
    """
    found = []
    for each in sorted(home.trials.glob("*")):
        with suppress(OSError):
            if each.stat().st_mtime < before and authored.read_bytes(each, authored.SETTINGS) == _text(source):
                found.append(each.name)
    return found


def _text(source: Source) -> bytes:
    """By which trials are told apart: of one path with two Pythons, each has its own."""
    return os.fsencode(f"{source.path}\n{','.join(source.extras)}\n{source.python or ''}\n")
