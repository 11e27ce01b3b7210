"""How long the pool waits after workers that could not be started: with the clock in the test's hand, and a kernel that has none."""

from __future__ import annotations

import errno
import selectors
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar.protocol import Loading
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.workers.kernel import System
from nectar.runtime.daemon.workers.pool import Pool
from nectar.settings import Settings

if TYPE_CHECKING:
    from nectar.runtime.daemon.workers.kernel import Spawned


class Clock(selectors.SelectSelector):
    """The time, which passes while the loop waits and never else; nothing else happens on this machine."""

    time = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.time += timeout or 0.0
        return []


class Refusing(System):
    """A kernel that starts nothing."""

    def __init__(self, clock: Clock, number: int) -> None:
        super().__init__()
        self.tries: list[float] = []
        self._clock = clock
        self._number = number

    def spawn(self, loading: Loading, script: Path, token: str) -> Spawned:
        self.tries.append(round(self._clock.time, 3))
        raise OSError(self._number, "not now")


def tries(number: int, seconds: float, *, stopped: float | None = None) -> list[float]:
    """The seconds at which a pool tried to start a worker, by a kernel that refuses with that error number."""
    clock = Clock()
    kernel = Refusing(clock, number)
    loop = Loop(lambda: clock.time, clock)
    loading = Loading(python="python", entry="a:b", handler="b", directory="/")
    pool = Pool(loop, loading, Settings(), Path("start.py"), "owner", kernel)
    pool.start()
    if stopped is not None:
        loop.later(stopped, lambda: pool.stop(1, lambda: None))
    loop.later(seconds, loop.stop)
    loop.run()
    return kernel.tries


def test_a_worker_that_cannot_be_started_is_tried_after_ever_longer_pauses_of_a_minute_at_most() -> None:
    assert tries(errno.ENOENT, 260) == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_what_the_machine_is_short_of_for_a_moment_is_tried_each_second(number: int) -> None:
    assert tries(number, 10.5) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_a_pool_that_was_stopped_tries_nothing_more() -> None:
    assert tries(errno.ENOENT, 100, stopped=10) == [0, 1, 3, 7]
