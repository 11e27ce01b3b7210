"""Whether a handler of a name runs: the lock says so, and a look at it keeps nobody from taking it."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING

import pytest

from nectar import namelock
from nectar.home import Home
from nectar.locks import POLL
from nectar.manage.daemon import stopping
from tests.units.conftest import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.units.conftest import Clock

OURS = json.dumps({"pid": os.getpid(), "started": 1.5, "version": "9"}).encode()
NOBODYS = json.dumps({"pid": 1, "started": 1.5, "version": "9"}).encode()


@pytest.fixture
def held(home: Home) -> Iterator[int]:
    """The lock of ``h``, held by this process but naming none."""
    with locked(home.lock("h"), fcntl.LOCK_EX) as descriptor:
        yield descriptor


def test_nobody(home: Home) -> None:
    assert namelock.find_holder(home, "h") is None
    home.lock("h").write_text(OURS.decode())
    assert not namelock.is_running(home, "h")
    assert namelock.find_holder(home, "h") is None
    assert namelock.wait_until_free(home, "h", end=0)


def test_somebody(home: Home, held: int) -> None:
    os.write(held, OURS)
    assert namelock.is_running(home, "h")
    assert namelock.find_holder(home, "h") == namelock.Holder(pid=os.getpid(), started=1.5, version="9")
    assert not namelock.wait_until_free(home, "h", end=0)
    with namelock.keep_free(home, "h") as free:
        assert not free


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing yet"),
        pytest.param(b"nonsense", id="no JSON"),
        pytest.param(OURS[:-1], id="half a line"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'{"pid": 1}', id="a part of it"),
        pytest.param(NOBODYS, id="the last holder's, whose PID another process may have by now"),
    ],
)
def test_who_does_not_say_who_it_is_has_two_seconds_to_do_so(clock: Clock, home: Home, held: int, line: bytes) -> None:
    os.write(held, line)
    assert namelock.find_holder(home, "h") == namelock.Holder(pid=None)
    assert clock.seconds == pytest.approx(2, abs=POLL + 0.001)


def test_who_says_so_meanwhile_is_found_at_once(clock: Clock, home: Home, held: int) -> None:
    clock.at = 1.5, lambda: os.write(held, OURS)
    assert namelock.find_holder(home, "h") == namelock.Holder(pid=os.getpid(), started=1.5, version="9")
    assert clock.seconds == pytest.approx(1.5, abs=POLL + 0.001)


def test_who_lets_go_meanwhile_was_nobody(clock: Clock, home: Home, held: int) -> None:
    clock.at = 0.5, lambda: fcntl.flock(held, fcntl.LOCK_UN)
    assert namelock.find_holder(home, "h") is None
    assert clock.seconds == pytest.approx(0.5, abs=POLL + 0.001)


def test_what_is_kept_free_is_free_again(home: Home) -> None:
    home.lock("h").touch()
    with namelock.keep_free(home, "h") as free:
        assert free
        assert namelock.is_running(home, "h")
    assert not namelock.is_running(home, "h")
    with namelock.keep_free(home, "absent") as free:
        assert free


def test_stopping_nobody_clears_what_a_killed_one_left(home: Home) -> None:
    home.socket("h").touch()
    assert not stopping.stop(home, "h", timeout=0)
    assert not home.socket("h").exists()


def test_another_daemon_with_the_name_is_not_waited_for(home: Home, held: int) -> None:
    os.write(held, OURS)
    assert not namelock.wait_until_free(home, "h", end=0, of=os.getpid())
    assert namelock.wait_until_free(home, "h", end=0, of=os.getpid() + 1)


def test_an_end_is_waited_for_until_it_comes_or_time_is_up(clock: Clock, home: Home, held: int) -> None:
    os.write(held, OURS)
    assert not namelock.wait_until_free(home, "h", end=64 + 3, of=os.getpid())
    assert clock.seconds == pytest.approx(3, abs=POLL + 0.001)
    clock.at = 5, lambda: fcntl.flock(held, fcntl.LOCK_UN)
    assert namelock.wait_until_free(home, "h", end=64 + 9, of=os.getpid())
    assert clock.seconds == pytest.approx(5, abs=POLL + 0.001)


@pytest.mark.parametrize(("line", "seconds"), [(OURS, 0.3), (b"", 2), (NOBODYS, 2)], ids=["a daemon", "nobody said", "another"])
def test_a_name_that_is_taken_cannot_be_kept_free(clock: Clock, home: Home, held: int, line: bytes, seconds: float) -> None:
    os.write(held, line)
    with namelock.keep_free(home, "h") as free:
        assert not free
    assert clock.seconds == pytest.approx(seconds, abs=POLL + 0.001)


def test_a_name_that_gets_free_is_kept_so(clock: Clock, home: Home, held: int) -> None:
    clock.at = 1, lambda: fcntl.flock(held, fcntl.LOCK_UN)
    with namelock.keep_free(home, "h") as free:
        assert free
        assert clock.seconds == pytest.approx(1, abs=POLL + 0.001)
        assert namelock.is_running(home, "h")
    assert not namelock.is_running(home, "h")


def test_a_name_whose_lock_goes_meanwhile_is_free(clock: Clock, home: Home, held: int) -> None:
    clock.at = 1, home.lock("h").unlink
    with namelock.keep_free(home, "h") as free:
        assert free
    assert not home.lock("h").exists()
