"""What is remembered of large files: never another content than the file has."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar.home import Home
from nectar.locks import hold
from nectar.manage import gc
from nectar.manage.environment.survey import survey
from nectar.manage.handlers import registry
from nectar.manage.source import source
from nectar.manage.tree import contents
from nectar.manage.tree.contents import Memory
from nectar.manage.tree.pieces import Piece
from tests.environments.workbench import Bench
from tests.world import until

BIG = b"x" * contents.LEAST


class Look:
    """A file, and how often its content is read."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = directory / "data.bin"
        self.place = directory / "digests" / "source.json"
        self.place.parent.mkdir()
        self.reads = 0
        self.passed = 0
        real = Piece.read

        def read(piece: Piece) -> bytes:
            self.reads += 1
            return real(piece)

        monkeypatch.setattr(Piece, "read", read)

    def settle(self) -> None:
        """Let the time pass after which a file is old enough to be remembered."""
        self.passed += contents.SETTLED

    def is_read(self, *, trusting: bool = True) -> bool:
        """Whether a command had to read it; what it takes the content to be is right in any case."""
        memory, before = Memory(self.place, trusting=trusting, clock=lambda: time.time_ns() + self.passed), self.reads
        found = memory.look(Piece(origin=self.file))
        content = self.file.read_bytes()
        assert (found.size, found.digest) == (len(content), hashlib.sha256(content).digest())
        memory.keep()
        return self.reads > before


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    return Look(tmp_path, monkeypatch)


def test_a_large_file_is_read_once(look: Look) -> None:
    look.file.write_bytes(BIG)
    assert look.is_read()
    assert look.is_read(), "it has just been written"
    look.settle()
    assert look.is_read()
    assert not look.is_read()
    assert not look.is_read()
    assert look.place.stat().st_mode & 0o777 == 0o600
    assert look.is_read(trusting=False)
    assert not look.is_read()


def test_a_small_one_is_not_remembered(look: Look) -> None:
    look.file.write_bytes(BIG[1:])
    look.settle()
    assert look.is_read()
    assert look.is_read()
    assert not look.place.exists()


def _edit(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(b"y")


def _edit_and_put_back_its_times(file: Path) -> None:
    before = file.stat()
    _edit(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(file: Path) -> None:
    before = file.stat()
    aside = file.with_name("aside")
    aside.write_bytes(b"y" * len(BIG))
    os.utime(aside, ns=(before.st_atime_ns, before.st_mtime_ns))
    aside.rename(file)


def _truncate(file: Path) -> None:
    file.write_bytes(b"")


def _lengthen(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"y")


@pytest.mark.parametrize("change", [_edit, _edit_and_put_back_its_times, _replace, _truncate, _lengthen])
def test_a_change_is_seen(look: Look, change: Callable[[Path], None]) -> None:
    look.file.write_bytes(BIG)
    look.settle()
    look.is_read()
    assert not look.is_read()
    change(look.file)
    assert look.is_read()


def test_times_in_the_future_are_not_believed(look: Look) -> None:
    look.file.write_bytes(BIG)
    os.utime(look.file, ns=(0, time.time_ns() + 3600 * 10**9))
    assert look.is_read()
    assert look.is_read()


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"schema": 1}',
        b'{"schema": 1, "files": []}',
        b'{"schema": 2, "files": {}}',
        b'{"schema": 1, "files": {"NAME": null}}',
        b'{"schema": 1, "files": {"NAME": [1, 2]}}',
        b'{"schema": 1, "files": {"NAME": [SIZE, "1", 1, 1, 1, "00"]}}',
        b'{"schema": 1, "files": {"NAME": [SIZE, MARK, "00"]}}',
        b'{"schema": 1, "files": {"NAME": [SIZE, MARK, 7]}}',
        b'{"schema": 1, "files": {"NAME": [SIZE, MARK, "zz"]}}',
    ],
)
def test_a_memory_that_is_broken_counts_for_nothing_and_is_written_anew(look: Look, broken: bytes) -> None:
    look.file.write_bytes(BIG)
    look.settle()
    status = look.file.stat()
    mark = f"{status.st_mtime_ns}, {status.st_ctime_ns}, {status.st_ino}, {status.st_dev}"
    look.place.write_bytes(
        broken.replace(b"NAME", str(look.file).encode()).replace(b"SIZE", str(len(BIG)).encode()).replace(b"MARK", mark.encode())
    )
    assert look.is_read()
    assert not look.is_read()


def test_where_it_cannot_be_written_it_is_only_slower(look: Look) -> None:
    look.file.write_bytes(BIG)
    look.settle()
    with hold(look.place.with_suffix(".guard")):  # by another command
        assert look.is_read()
    assert look.is_read()
    look.place.unlink()
    look.place.mkdir()
    assert look.is_read()
    look.place.rmdir()
    look.place.symlink_to("/dev/zero")
    assert look.is_read()


@pytest.mark.uv
def test_an_environment_never_holds_what_was_remembered_wrongly(bench: Bench) -> None:
    """The copy is hashed as it is written, and where that is not what was remembered, all is read."""
    project = bench.project()
    data = project / "src" / "demo" / "data.bin"
    data.write_bytes(BIG)
    status = data.stat()
    place = contents.place(bench.home, project)
    until(lambda: time.time_ns() > status.st_ctime_ns + contents.SETTLED, "the file settles")
    first = bench.provide(project)
    kept = json.loads(place.read_bytes())
    assert list(kept["files"]) == [str(data)]
    kept["files"][str(data)][-1] = "00" * 32
    place.write_text(json.dumps(kept))
    assert bench.provide(project) == first
    assert json.loads(place.read_bytes())["files"][str(data)][-1] == hashlib.sha256(BIG).hexdigest()
    assert bench.find(project) == first
    data.unlink()
    assert bench.provide(project).key != first.key
    assert json.loads(place.read_bytes())["files"] == {}


def test_gc_takes_what_belongs_to_no_handler(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    used, fresh, old = (contents.place(home, f"/{name}") for name in ("used", "fresh", "old"))
    for path in (used, fresh, old):
        path.write_text("{}")
        path.with_suffix(".guard").touch()
    for path in (used, old):
        os.utime(path, ns=(0, time.time_ns() - 2 * 86400 * 10**9))
    old.with_name(f"{old.name}.new").write_text("half")
    with registry.change(home) as records:
        records["h"] = registry.Record(source={"path": "/used"})
    assert [each.path for each in gc.collect(home)] == [old]
    assert sorted(home.digests.iterdir()) == sorted([used, fresh])


def test_what_is_remembered_is_what_there_is(bench: Bench) -> None:
    opened = source.open_source(bench.project())
    found = survey(bench.home, opened, {})
    assert found.plan.digests(found.seen) == opened.plan().digests()
