"""The metadata in a wheel or an sdist, which somebody else has packed: looked for in so much of it, and no further."""

from __future__ import annotations

import lzma
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO

from nectar import regular
from nectar.manage.files.authored import MEBIBYTE, SETTINGS

_CONTENTS = 8 * MEBIBYTE
"""Bytes of a wheel's list of its files, which is some 50,000 of them."""
_UNPACKED = 64 * MEBIBYTE
"""Bytes of an sdist, unpacked, in which its metadata must come."""
_BLOCK = 512
_IN_WHEEL = r"[^/]+\.dist-info/METADATA"
_IN_SDIST = rb"[^/]+/PKG-INFO"
_END = b"PK\5\6"
_END_WITHIN = 22 + 65535
"""Bytes at the end of a wheel in which the record lies that says how long its list is."""
_WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How metadata may be packed; with the others nobody can say how much a small piece becomes."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, OverflowError)
_UNKNOWN = (RuntimeError, NotImplementedError)
"""A password, and what Python cannot unpack."""


def read_metadata(path: Path) -> bytes | None:
    """The content of ``METADATA`` or ``PKG-INFO``; None where there is none that can be read."""
    try:
        descriptor, _ = regular.open_regular(path, follow=True)
        with os.fdopen(descriptor, "rb") as stream:
            return _of_wheel(stream) if path.suffix == ".whl" else _of_sdist(stream)
    except (*_DAMAGED, *_UNKNOWN):
        return None


def _of_wheel(stream: BinaryIO) -> bytes | None:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _END_WITHIN))
    end = stream.read()
    found = end.rfind(_END)
    if found < 0 or int.from_bytes(end[found + 12 : found + 16], "little") > _CONTENTS:
        return None
    with zipfile.ZipFile(stream) as wheel:
        for member in wheel.infolist():
            if re.fullmatch(_IN_WHEEL, member.filename):
                if member.file_size > SETTINGS or member.compress_type not in _WAYS:
                    return None
                return wheel.read(member)
    return None


def _of_sdist(stream: BinaryIO) -> bytes | None:
    """The same, of an sdist. Not by ``tarfile``, which reads whole whatever says that it belongs to a header."""
    unpacked, left = _unpacked(stream), _UNPACKED
    while left > 0 and len(header := unpacked.read(_BLOCK)) == _BLOCK:
        size = int(header[124:136].strip(b" \0") or b"0", 8)
        if size < 0:
            return None
        if re.fullmatch(_IN_SDIST, _name(header)) and header[156:157] in (b"0", b"\0"):
            return unpacked.read(size) if size <= SETTINGS else None
        size = -(-size // _BLOCK) * _BLOCK
        left -= _BLOCK + size
        while left > 0 and size > 0 and (piece := unpacked.read(min(size, MEBIBYTE))):
            size -= len(piece)
    return None


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].partition(b"\0")[0], header[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _unpacked(stream: BinaryIO) -> IO[bytes]:
    import bz2
    import gzip

    begin = stream.read(6)
    stream.seek(0)
    if begin.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]
    if begin.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if begin.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream)
    return stream
