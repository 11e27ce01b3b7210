"""The metadata of a wheel or an sdist is read where it is what it should be, and nothing is unpacked for ever."""

from __future__ import annotations

import io
import os
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar.errors import UsageError
from nectar.manage.source import archive, artifact
from nectar.manage.source.source import open_source

SOON = 4
"""Seconds of this process's own time."""
METADATA = b"Metadata-Version: 2.1\nName: mine\nVersion: 1.0\nRequires-Python: >=3.12\n\ntext"
INFO = "mine-1.0.dist-info/METADATA"


def wheel(path: Path, content: bytes = METADATA, *, before: int = 0, way: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", way) as made:
        for number in range(before):
            made.writestr(f"mine/{number}", b"")
        made.writestr(INFO, content)


def sdist(path: Path, *members: tuple[str, int, bytes], kind: bytes = tarfile.REGTYPE, mode: str = "w:gz") -> None:
    quickly = {} if mode == "w:xz" else {"compresslevel": 1}
    with tarfile.open(path, mode, **quickly) as made:  # type: ignore[call-overload]
        for name, zeros, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = zeros + len(content), kind, "/etc/passwd"
            made.addfile(member, _Zeros(zeros, content))


class _Zeros(io.RawIOBase):
    def __init__(self, count: int, then: bytes) -> None:
        self._left, self._then = count, then

    def read(self, size: int = -1) -> bytes:
        zeros = min(size, self._left)
        self._left -= zeros
        rest, self._then = self._then[: size - zeros], self._then[size - zeros :]
        return b"\0" * zeros + rest


def _encrypted(path: Path) -> None:
    wheel(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


READ: list[tuple[str, Callable[[Path], None]]] = [
    ("mine-1.0-py3-none-any.whl", wheel),
    ("mine-1.0-py3-none-any.whl", lambda path: wheel(path, before=5000)),
    ("mine-1.0-py3-none-any.whl", lambda path: wheel(path, METADATA + b"x" * 500_000)),
    *(
        (f"mine-1.0.tar.{end}", lambda path, end=end: sdist(path, ("mine-1.0/PKG-INFO", 0, METADATA), mode=f"w:{end}"))
        for end in ("gz", "bz2", "xz")
    ),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/data", 1 << 24, b""), ("mine-1.0/PKG-INFO", 0, METADATA))),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("x/" * 90, 0, b""), ("mine-1.0/PKG-INFO", 0, METADATA))),
]


@pytest.mark.parametrize(("name", "make"), READ)
def test_what_is_read(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / name)
    assert artifact.plan_file(tmp_path / name, python=None).asked.python.requires == ">=3.12"


UNREAD: list[tuple[str, Callable[[Path], object]]] = [
    ("mine-1.0-py3-none-any.whl", os.mkfifo),
    ("mine-1.0-py3-none-any.whl", lambda path: path.symlink_to("/dev/zero")),
    ("mine-1.0-py3-none-any.whl", lambda path: path.write_bytes(b"")),
    ("mine-1.0-py3-none-any.whl", lambda path: path.write_bytes(b"PK\5\6" * 100)),
    ("mine-1.0-py3-none-any.whl", lambda path: path.write_bytes(b"PK\5\6" + b"\xff" * 18)),
    ("mine-1.0-py3-none-any.whl", lambda path: wheel(path, METADATA + b"\0" * (1 << 21))),
    ("mine-1.0-py3-none-any.whl", lambda path: wheel(path, METADATA + b"\0" * (1 << 21), way=zipfile.ZIP_LZMA)),
    ("mine-1.0-py3-none-any.whl", lambda path: wheel(path, METADATA + b"\0" * (1 << 21), way=zipfile.ZIP_BZIP2)),
    ("mine-1.0-py3-none-any.whl", _encrypted),
    ("mine-1.0.tar.gz", os.mkfifo),
    ("mine-1.0.tar.gz", lambda path: path.write_bytes(b"\x1f\x8b")),
    ("mine-1.0.tar.gz", lambda path: path.write_bytes(b"\xfd7zXZ\0" + b"\xff" * 100)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/PKG-INFO", 0, b""), kind=tarfile.SYMTYPE)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/PKG-INFO", 0, b""), kind=tarfile.LNKTYPE)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/PKG-INFO", 0, b""), kind=tarfile.FIFOTYPE)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/PKG-INFO", (1 << 26) + 1, METADATA))),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/a", (1 << 26) + 1, b""), ("mine-1.0/PKG-INFO", 0, METADATA))),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/long", (1 << 26) + 1, b"\0"), kind=tarfile.GNUTYPE_LONGNAME)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/pax", (1 << 26) + 1, b"\0"), kind=tarfile.XHDTYPE)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, ("mine-1.0/pax", 0, b"1" * (1 << 22)), kind=tarfile.XHDTYPE)),
    ("mine-1.0.tar.gz", lambda path: sdist(path, *((f"mine-1.0/{number}", 0, b"") for number in range(3000)))),
]


@pytest.mark.parametrize(("name", "make"), UNREAD)
def test_what_is_not_read(name: str, make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / name)
    began = time.process_time()
    said = archive.read_metadata(tmp_path / name)
    assert said is None
    assert time.process_time() - began < SOON


@pytest.mark.parametrize(
    "said", [b">=3.1\x002", b"\0", b"--help", b">=3.12\n Name: x", b"\xff\xfe", b">=3" + b"," * 100_000, b"", b"x" * 500]
)
def test_a_python_that_is_none(said: bytes, tmp_path: Path) -> None:
    wheel(tmp_path / "mine-1.0-py3-none-any.whl", b"Name: mine\nRequires-Python: " + said + b"\n\n")
    assert artifact.plan_file(tmp_path / "mine-1.0-py3-none-any.whl", python=None).asked.python.requires is None


@pytest.mark.parametrize(
    "name", ["-x.whl", "--help.whl", "a b-1.0.whl", "-1.tar.gz", "ä-1.0.tar.gz", "x\udcff-1.0.zip", "a\nb-1.whl"]
)
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match="name of a"):
        open_source(tmp_path / name)
