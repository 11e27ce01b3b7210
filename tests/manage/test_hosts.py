"""A data dir is one machine's: said of a directory whose file system and whose kernel are what the test says that they are."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from nectar import features, ownership
from nectar.errors import ConflictError
from nectar.home import Home
from nectar.manage import doctor
from nectar.manage.daemon import hosts
from nectar.namelock import NameLock
from nectar.runtime.daemon.presence import EVERY, Presence

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0


class Kernel:
    """What the kernel tells: of what kind the data dir's file system is, who it is itself, and since when."""

    def __init__(self, directory: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self._proc = directory
        self._home = home
        self.up = DAY
        monkeypatch.setattr(features, "PROC", str(directory))
        monkeypatch.setattr(features, "up_for", lambda: self.up)
        self.mount("nfs4")
        self.be("a")

    def mount(self, kind: str) -> None:
        device = os.stat(self._home.nectar).st_dev
        lines = [
            "1 0 7:77 / / rw - ext4 /dev/vda rw",
            f"2 1 {os.major(device)}:{os.minor(device)} / /x rw shared:1 - {kind} y:/z rw",
        ]
        self._write("self/mountinfo", "".join(f"{line}\n" for line in lines))

    def be(self, boot: str) -> None:
        self._write("sys/kernel/random/boot_id", f"{boot}\n")

    def _write(self, name: str, text: str) -> None:
        (self._proc / name).parent.mkdir(parents=True, exist_ok=True)
        (self._proc / name).write_text(text)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "world")
    made.create()
    return made


@pytest.fixture
def kernel(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path / "proc", home, monkeypatch)


def enter(home: Home) -> list[str]:
    said: list[str] = []
    hosts.enter(home, report=said.append)
    return said


def age(home: Home, seconds: float) -> None:
    os.utime(home.host, (time.time() - seconds,) * 2)


@pytest.mark.parametrize("kind", ["ext4", "fuse", "fuse.gocryptfs", "overlay", "tmpfs"])
def test_a_disk_of_its_own_is_nobody_else_s(home: Home, kernel: Kernel, kind: str) -> None:
    kernel.mount(kind)
    assert enter(home) == []
    hosts.enter_anyway(home)
    hosts.leave(home)
    assert Presence(home, lambda: 0.0).tell() is None
    assert not home.host.exists()


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", "ceph", "lustre"])
def test_what_does_not_hold_is_told_once_on_each_machine(home: Home, kernel: Kernel, kind: str) -> None:
    kernel.mount(kind)
    (said,) = enter(home)
    assert f"network file system ({kind})" in said
    assert json.loads(home.host.read_text()) == {"schema": 1, "boot": "a", "host": os.uname().nodename}
    assert enter(home) == []
    ownership.check(home)
    kernel.be("b")
    age(home, 61)
    assert enter(home) == [said]
    assert [path.name for path in home.nectar.glob("host*")] == ["host.json"]


def test_another_machine_that_works_there_now_is_in_the_way(home: Home, kernel: Kernel) -> None:
    enter(home)
    kernel.be("b")
    age(home, 30)
    before = home.host.read_bytes(), home.host.stat().st_mtime_ns
    with pytest.raises(ConflictError, match=r"Another machine, .*, was running handlers in this data dir 3[0-9] s ago") as refused:
        enter(home)
    assert "--shared-data-dir" in (refused.value.hint or "")
    assert (home.host.read_bytes(), home.host.stat().st_mtime_ns) == before
    assert [path.name for path in home.nectar.glob("host*")] == ["host.json"]
    hosts.enter_anyway(home)
    assert enter(home) == []


def test_this_machine_before_it_was_started_anew_is_not(home: Home, kernel: Kernel) -> None:
    """Nor is what a container was before, which gets another name and with some another kernel."""
    enter(home)
    kernel.be("b")
    age(home, 30)
    kernel.up = 20
    assert len(enter(home)) == 1


def test_what_it_says_counts_by_the_clock_of_its_disk(home: Home, kernel: Kernel) -> None:
    enter(home)
    kernel.be("b")
    age(home, -3600)  # as after a clock was set back: what is there cannot be old
    with pytest.raises(ConflictError, match=" 0 s ago"):
        enter(home)


def test_where_nothing_runs_any_more_another_machine_may_come_at_once(home: Home, kernel: Kernel) -> None:
    enter(home)
    lock = NameLock(home.lock("one"), time.time())
    hosts.leave(home)
    kernel.be("b")
    with pytest.raises(ConflictError):
        enter(home)
    hosts.leave(home)  # it is the other one's to say
    kernel.be("a")
    os.close(lock._descriptor)
    hosts.leave(home)
    kernel.be("b")
    assert len(enter(home)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"boot": "b"}', "\0", "[" * 100_000])
def test_what_nobody_can_read_is_nobody(home: Home, kernel: Kernel, text: str) -> None:
    home.host.write_text(text)
    assert len(enter(home)) == 1
    assert enter(home) == []


def test_doctor_says_it_each_time(home: Home, kernel: Kernel) -> None:
    assert len([each for each in doctor._disk(home) if "network" in each.what]) == 1
    enter(home)
    kernel.be("b")
    warned = [each.what for each in doctor._disk(home) if each.level == "warning" and "GiB" not in each.what]
    assert ["network" in warned[0], "was the last to work there" in warned[1], len(warned)] == [True, True, 2]


def test_of_the_daemons_of_a_machine_one_tells_that_it_is_there(home: Home, kernel: Kernel) -> None:
    clock = [0.0]
    daemons = [Presence(home, lambda: clock[0]) for _ in range(3)]
    written = []
    for second in range(int(4 * EVERY)):
        clock[0] = float(second)
        for number, daemon in enumerate(daemons):
            if number == 0 and second > 2 * EVERY:
                continue  # it has ended
            before = home.host.exists() and home.host.stat().st_ino
            assert daemon.tell() is None
            if home.host.stat().st_ino != before:
                written.append(second)
    assert written[0] == 0
    assert all(later - earlier <= 2 * EVERY for earlier, later in itertools.pairwise(written))
    assert len(written) < 6


def test_a_daemon_tells_of_another_machine_and_does_not_contradict_it(home: Home, kernel: Kernel) -> None:
    clock = [0.0]
    daemon = Presence(home, lambda: clock[0])
    assert daemon.tell() is None
    kernel.be("b")
    hosts.enter_anyway(home)
    kernel.be("a")
    clock[0] = EVERY
    another = daemon.tell()
    assert another is not None
    assert another.boot == "b"
    assert json.loads(home.host.read_text())["boot"] == "b"
    age(home, 2 * ownership.SILENCE)
    clock[0] = 2 * EVERY
    assert daemon.tell() is None
    assert json.loads(home.host.read_text())["boot"] == "a"
