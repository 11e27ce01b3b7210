"""Hearing that an answer may be there, without looking: a look each few milliseconds takes a thirtieth of a processor."""

from __future__ import annotations

import ctypes
import os
import select
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

IN_MOVED_TO = 0x80
DEAF = 0.01
"""Seconds between two looks where there is no inotify."""
UNHEARD = 0.1
"""Seconds after which one looks all the same: what is at a path may have become another directory, or be on a disk that tells nothing."""


class Ear:
    """Hears what is renamed into some directories, as answers are. To be closed."""

    def __init__(self, *directories: Path) -> None:
        self._paths = [os.fsencode(directory) for directory in directories]
        self._library = ctypes.CDLL(None)
        begin = getattr(self._library, "inotify_init1", None)
        self._descriptor: int = -1 if begin is None else begin(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def listen(self) -> None:
        """Hear from now on what comes into the directories that are at the paths now; to be called before each look."""
        if self._descriptor < 0:
            return
        for path in self._paths:
            self._library.inotify_add_watch(self._descriptor, path, IN_MOVED_TO)
        try:
            os.read(self._descriptor, 65536)
        except BlockingIOError:
            pass

    def wait(self) -> None:
        """Wait until something has come since it was last called to listen, or for a while."""
        if self._descriptor < 0:
            time.sleep(DEAF)
        else:
            heard = select.poll()
            heard.register(self._descriptor, select.POLLIN)
            heard.poll(1000 * UNHEARD)
