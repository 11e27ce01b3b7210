"""A terminal with a command on it, as a person has it."""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time

from tests.world import PATIENCE

LEADER = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command: list[str], directory: str, *, env: dict[str, str] | None = None) -> None:
        self._ours, theirs = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=directory,
            env={**os.environ, "TERM": "dumb", **(env or {})},
        )
        self._theirs = theirs
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, *, pressing: str = "") -> str:
        """What comes before it, and was not waited for.

        :param pressing: keys that are pressed each second until it comes: an interrupt just before a read goes unheard until there is
            something to read.
        """
        end = time.monotonic() + PATIENCE
        while text not in self.shown:
            self.type(pressing)
            left = max(0.0, end - time.monotonic())
            ready = select.select([self._ours], [], [], min(1.0, left) if pressing else left)[0]
            assert ready or left, f"{text!r} did not come after {self.shown!r}"
            while ready:
                self.shown += self._decode(os.read(self._ours, 65536))
                ready = select.select([self._ours], [], [], 0.1 if pressing else 0)[0]
        before, _, self.shown = self.shown.partition(text)
        return before

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self) -> list[object]:
        return list(termios.tcgetattr(self._theirs))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for descriptor in (self._ours, self._theirs):
            os.close(descriptor)
