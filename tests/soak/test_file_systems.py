"""File systems that are not ext4: they refuse modes, show fixed ones, or report as failed what they have done; and an overlay."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak import odd_disk
from tests.soak.ground import LATE, LONG, Ground, Reader, kill, left, mounted, need_root, put, unmount
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.table import Row


@contextmanager
def odd_disk_at(directory: Path, **ways: object) -> Iterator[Path]:
    """A file system that has ways of its own at a directory; skips where there is no FUSE.

    :returns: the file that says which; see :mod:`tests.soak.odd_disk`.
    """
    need_root()
    if not Path("/dev/fuse").exists():
        pytest.skip("there is no FUSE here")
    source, file = (directory.parent / f"{directory.name}.{what}" for what in ("source", "ways"))
    source.mkdir()
    told(file, **ways)
    command: list[str | Path] = [sys.executable, Path(odd_disk.__file__), source, directory, file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            if server.stdout.readline() != b"mounted\n":
                pytest.skip(f"nothing can be mounted by way of FUSE here: {server.stderr.read().decode()}")
            yield file
        finally:
            unmount(directory)
            server.kill()


def told(file: Path, **ways: object) -> None:
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps(ways))
    aside.rename(file)


class Asking:
    """Asks one after another, so that each has an answer of its own."""

    def __init__(self, directory: Path) -> None:
        self.asked: dict[str, int] = {}
        self._directory = directory

    def ask(self, count: int) -> None:
        for _ in range(count):
            number = len(self.asked)
            put(self._directory, f"q{number}", f"work {number} 5")
            self.asked[f"q{number}"] = number

    def wrong(self, reader: Reader) -> int:
        bad = [comp_id for comp_id, number in self.asked.items() if comp_id in reader.answers and reader.value(comp_id) != number]
        return len(bad) + len(reader.twice()) + len(reader.torn)


@pytest.mark.parametrize("refused", [errno.EPERM, errno.ENOTSUP, errno.EINVAL], ids=errno.errorcode.get)
def test_a_disk_that_refuses_modes(ground: Ground, row: Row, refused: int) -> None:
    ground.launch()
    directory = ground.world.node()
    with odd_disk_at(directory, chmod=refused):
        ground.world.run("attach", ground.name, "alice")
        asking = Asking(directory)
        with Reader(directory) as reader:
            asking.ask(portion(200, least=20))
            missing = reader.until(set(asking.asked))
        row(
            f"changes of a mode or an owner are refused with {errno.errorcode[refused]}: each answer is published",
            questions=len(asking.asked),
            lost=len(missing),
            wrong_or_twice=asking.wrong(reader),
            counted=ground.status()["counts"]["success"],
        )
        assert missing == set()
        assert asking.wrong(reader) == 0
        assert ground.status()["counts"] == {"success": len(asking.asked), "error": 0, "timeout": 0}
        assert left(directory) == []
        ground.world.run("detach", ground.name, "alice")


def test_a_disk_on_which_all_has_one_mode(ground: Ground, row: Row) -> None:
    """Where that mode lets others in, nothing is served; where it does not, all is."""
    ground.launch()
    directory = ground.world.node()
    with odd_disk_at(directory, mode=0o755, chmod=errno.EPERM) as ways:
        put(directory, "before", "number 0")
        refusals = [ground.world.run("attach", ground.name, "alice", code=None) for _ in range(3)]
        untouched = sorted(path.name for path in directory.iterdir())
        told(ways, mode=0o700, chmod=errno.EPERM)
        ground.world.run("attach", ground.name, "alice")
        asking = Asking(directory)
        with Reader(directory) as reader:
            asking.ask(portion(100, least=20))
            missing = reader.until({"before", *asking.asked})
            told(ways, mode=0o755, chmod=errno.EPERM)  # as if it had been mounted anew
            ground.world.run("restart", ground.name)
            (served,) = ground.status()["aliases"].values()
            examined = ground.world.run("doctor", code=None).stdout
            told(ways, mode=0o700, chmod=errno.EPERM)
            asking.ask(1)
            missing |= reader.until(set(asking.asked))
        row(
            "everything on a disk has mode 0755: not served, with the cure; with 0700 all is answered",
            refused=sum("cannot be made private" in each.stderr and "umask=077" in each.stderr for each in refusals),
            questions=len(asking.asked),
            lost=len(missing),
            wrong_or_twice=asking.wrong(reader),
        )
        assert [each.returncode for each in refusals] == [4, 4, 4]
        assert all("mode 0755" in each.stderr for each in refusals)
        assert untouched == [".nectar", "before.pending"]
        assert "cannot be made private" in served["problem"]
        assert "cannot answer for alice" in examined
        assert missing == set()
        assert asking.wrong(reader) == 0
        ground.world.run("detach", ground.name, "alice")


@pytest.mark.parametrize("reported", [errno.EIO, errno.ENOENT, errno.ESTALE], ids=errno.errorcode.get)
def test_renames_that_are_done_and_reported_as_failed(ground: Ground, row: Row, reported: int) -> None:
    """As a network's file system does when the answer to the first of two equal requests gets lost; and daemons are killed, too."""
    ground.launch()
    directory = ground.world.node()
    with odd_disk_at(directory) as ways:
        ground.world.run("attach", ground.name, "alice")
        asking = Asking(directory)
        latest = 0.0
        with Reader(directory) as reader:
            told(ways, late=reported, share=4)  # of three that a question needs, each in turn
            for _ in range(portion(20)):
                asking.ask(10)
                begun = time.monotonic()
                missing = reader.until(set(asking.asked))
                latest = max(latest, time.monotonic() - begun)
            runs = ground.noted()
            again = sum(runs[comp_id] > 1 for comp_id in asking.asked)
            counted = ground.status()["counts"]
            for _ in range(portion(10)):
                asking.ask(10)
                kill(ground.daemon)
                until(lambda: not ground.marked(), "nothing of it is left", seconds=LONG)
                # One rename is tried when an alias is opened, and tried again a second later.
                ground.world.run("start", ground.name)
                missing |= reader.until(set(asking.asked))
        row(
            f"each fourth rename is done and reported as failed, with {errno.errorcode[reported]}: none lost, none twice, each run once",
            questions=len(asking.asked),
            lost=len(missing),
            wrong_or_twice=asking.wrong(reader),
            run_again_without_a_kill=again,
            latest_s=latest,
        )
        assert missing == set()
        assert asking.wrong(reader) == 0
        assert again == 0
        assert counted == {"success": counted["success"], "error": 0, "timeout": 0}
        assert latest < LATE
        ground.world.run("stop", ground.name)


def test_an_overlay(ground: Ground, row: Row) -> None:
    """Questions and claims that lie in its lower layer, and others."""
    need_root()
    ground.launch()
    directory = ground.world.node()
    layers = ground.world.directory / "layers"
    with mounted(layers, "-o", "mode=0700"):
        lower, upper, work = (layers / name for name in ("lower", "upper", "work"))
        for made in (lower, upper, work):
            made.mkdir()
        (lower / ".nectar").mkdir(mode=0o700)
        below = Asking(lower)
        below.ask(portion(50, least=10))
        (lower / "claimed.pending").write_bytes((lower / "q1.pending").read_bytes())
        (lower / "claimed.pending").rename(lower / ".nectar" / "claimed.1.0123456789abcdef")
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        with mounted(directory, "-o", options, kind="overlay", source="overlay"):
            with Reader(directory) as reader:
                ground.world.run("attach", ground.name, "alice")
                missing = reader.until({*below.asked, "claimed"})
                asking = Asking(directory)
                asking.asked = below.asked
                asking.ask(portion(50, least=10))
                missing |= reader.until(set(asking.asked))
            row(
                "a directory is an overlay: what lies in either layer is answered",
                questions=len(asking.asked) + 1,
                lost=len(missing),
                wrong_or_twice=asking.wrong(reader),
            )
            assert missing == set()
            assert asking.wrong(reader) == 0
            assert reader.value("claimed") == 1
            ground.world.run("detach", ground.name, "alice")
