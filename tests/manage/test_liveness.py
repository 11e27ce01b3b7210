"""Whether somebody runs: the lock says so, and a look at it keeps nobody from taking it."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING

import pytest

from nectar.home import Home
from nectar.manage.daemon import liveness, stopping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.create()
    return made


@pytest.fixture
def held(home: Home) -> Iterator[int]:
    """The lock of ``h``, held by this process but naming none."""
    descriptor = os.open(home.lock("h"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


def test_nobody(home: Home) -> None:
    assert liveness.holder(home, "h") is None
    home.lock("h").write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "version": "1"}))
    assert not liveness.running(home, "h")
    assert liveness.holder(home, "h") is None
    assert liveness.wait_until_free(home, "h", end=0)


def test_somebody(home: Home, held: int) -> None:
    os.write(held, json.dumps({"pid": os.getpid(), "started": 1.5, "version": "9"}).encode())
    assert liveness.running(home, "h")
    assert liveness.holder(home, "h") == liveness.Holder(pid=os.getpid(), started=1.5, version="9")
    assert not liveness.wait_until_free(home, "h", end=0)
    with liveness.kept_free(home, "h") as free:
        assert not free


def test_a_holder_that_does_not_say_who_it_is(home: Home, held: int) -> None:
    assert liveness.holder(home, "h") == liveness.Holder(pid=None)
    os.write(held, b"nonsense")
    assert liveness.holder(home, "h") == liveness.Holder(pid=None)


def test_a_pid_that_the_last_holder_wrote_is_not_believed(home: Home, held: int) -> None:
    os.write(held, json.dumps({"pid": 1, "started": 1.5, "version": "9"}).encode())
    assert liveness.holder(home, "h") == liveness.Holder(pid=None)


def test_what_is_kept_free_is_free_again(home: Home) -> None:
    home.lock("h").touch()
    with liveness.kept_free(home, "h") as free:
        assert free
        assert liveness.running(home, "h")
    assert not liveness.running(home, "h")
    with liveness.kept_free(home, "absent") as free:
        assert free


def test_stopping_nobody_clears_what_a_killed_one_left(home: Home) -> None:
    home.socket("h").touch()
    assert not stopping.stop(home, "h", timeout=0)
    assert not home.socket("h").exists()


def test_another_daemon_with_the_name_is_not_waited_for(home: Home, held: int) -> None:
    os.write(held, json.dumps({"pid": os.getpid(), "started": 1.0, "version": "1"}).encode())
    assert not liveness.wait_until_free(home, "h", end=0, of=os.getpid())
    assert liveness.wait_until_free(home, "h", end=0, of=os.getpid() + 1)
