"""A worker of Dask's as a child of this process: with its nannies, with all that they start, and gone with it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from nectar import features, processes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.manage.engine.command import Command

ROUND = 0.25
"""Seconds between two looks at whether it has ended: what it has started may hold its output open."""
ENDING_TIME = 15.0
"""Seconds for it to sign off from its scheduler; its nannies give their workers 8 of them."""


class Child:
    """What it writes to standard error is read line by line; its standard output is ours.

    :param command: what is started, in a session of its own: an interrupt at our terminal is ours to pass on.
    """

    def __init__(self, command: Command) -> None:
        processes.adopt_orphans()
        self._parent = os.getpid()
        self._process = subprocess.Popen(
            command.words,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=command.directory,
            env=dict(command.variables),
            start_new_session=True,
            preexec_fn=self._die_with_parent,  # noqa: PLW1509  # this process has one thread
        )
        self._begun = b""

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def lines(self) -> Iterator[str]:
        """What it says, until it has ended."""
        assert self._process.stderr is not None
        descriptor = self._process.stderr.fileno()
        os.set_blocking(descriptor, False)
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            last = False
            while not last:
                last = self.code is not None  # what it said before is read once more
                if selector.get_map():
                    for _ in selector.select(0 if last else ROUND):
                        piece = self._read(descriptor)
                        if not piece:
                            selector.unregister(descriptor)
                        yield from self._part(piece)
                else:
                    time.sleep(ROUND)
                self._let_go_of_orphans()
        if self._begun:
            yield self._begun.decode(errors="replace")

    def end(self, *, signed_off: bool) -> None:
        """End it, and all that it has started.

        :param signed_off: whether it gets time to sign off from its scheduler first.
        """
        try:
            if signed_off and self.code is None:
                self._process.terminate()
                self._wait(ENDING_TIME)
        finally:
            if self.code is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            processes.end_children()
            if self._process.stderr is not None:
                self._process.stderr.close()

    def _wait(self, seconds: float) -> None:
        """Wait for its end, reading on: else it may wait for us."""
        assert self._process.stderr is not None
        end = time.monotonic() + seconds
        while self.code is None and time.monotonic() < end:
            self._read(self._process.stderr.fileno())
            time.sleep(_PAUSE)

    def _die_with_parent(self) -> None:
        features.set_prctl(features.DIES_WITH, signal.SIGTERM)
        if os.getppid() != self._parent:  # it has ended before
            os._exit(1)

    def _let_go_of_orphans(self) -> None:
        """Wait for what has become our child by its parent's end, and has ended itself."""
        if features.PEEKS:
            with suppress(ChildProcessError):
                while (pid := features.ended_child()) not in (None, self._process.pid):
                    assert pid is not None
                    os.waitpid(pid, 0)

    def _part(self, piece: bytes) -> Iterator[str]:
        *whole, self._begun = (self._begun + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)

    @staticmethod
    def _read(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, 65536)
        except BlockingIOError:
            return b""


_PAUSE = 0.05
