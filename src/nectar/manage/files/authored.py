"""Reading what somebody else wrote, so that whatever it is does no harm: regular files only, so many bytes of them, in a second.

A link to a regular file is as good as the file; a byte order mark at the beginning is no part of a text.
"""

from __future__ import annotations

import codecs
import errno
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nectar import regular
from nectar.errors import EnvironmentFailedError
from nectar.manage.files.devices import is_virtual

MEBIBYTE = 1024 * 1024
LINE = 4096
"""Bytes of a file that holds a line or two: ``.python-version``, ``pyvenv.cfg``."""
SETTINGS = MEBIBYTE
"""Bytes of what a person writes by hand and we parse: ``pyproject.toml``, ``uv.toml``, a file of variables, metadata of a wheel."""
CODE = 16 * MEBIBYTE
"""Bytes of a module, and of a lock that we parse."""
ANY = 1024 * MEBIBYTE
"""Bytes of a file that is only carried from one place to another."""

_BITS = 64
_KEY = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![\w-]){_KEY}(?:[ \t]*+\.[ \t]*+{_KEY})++")
_DOTTED_LIMIT = 4_000_000
"""The sum of the squares of the lengths of dotted keys, to which the time that ``tomllib`` takes for them grows; a second or so."""
_OTHERS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@contextmanager
def name_failure(path: Path) -> Iterator[None]:
    """Turn what the block cannot read into an error that names it.

    :raises EnvironmentFailedError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise EnvironmentFailedError(f"{path.name} cannot be read: {error.strerror}.", where=str(path)) from None


def read_bytes(path: Path, limit: int) -> bytes:
    """A file's content.

    :param limit: bytes, at most.
    :raises OSError: it is no regular file, none on a disk, larger, not there, or cannot be read; ``strerror`` says which.
    """
    content = regular.read_regular(path, limit, follow=True)
    if is_virtual(path.stat().st_dev):  # the shell's secrets are in /proc/self/environ
        raise regular.NotRegularError(errno.EINVAL, "it is not a file on a disk", path)
    return content


def read_text(path: Path, limit: int) -> str:
    """A file's text, the ends of its lines as Python has them.

    :raises OSError: as for :func:`read_bytes`.
    :raises EnvironmentFailedError: it is not UTF-8.
    """
    try:
        return decode(read_bytes(path, limit))
    except UnicodeDecodeError as error:
        raise EnvironmentFailedError(f"{path.name} is not UTF-8: {error.reason}.", where=str(path)) from None


def read_toml(path: Path, limit: int = SETTINGS) -> dict[str, Any]:
    """A file's tables.

    :raises EnvironmentFailedError: it cannot be read, or is not TOML.
    """
    with name_failure(path):
        text = read_text(path, limit)
    try:
        return parse_toml(text)
    except ValueError as error:
        raise EnvironmentFailedError(f"{path.name} cannot be parsed: {error}.", where=str(path)) from None


def read_json(path: Path, limit: int) -> Any:
    """What a file says.

    :raises OSError: as for :func:`read_bytes`.
    :raises ValueError: it is not JSON.
    """
    return parse_json(read_bytes(path, limit))


def decode(content: bytes) -> str:
    """A text from its bytes.

    :raises UnicodeDecodeError: they are not UTF-8; the reason names what they look like.
    """
    for mark, name in _OTHERS.items():
        if content.startswith(mark):
            raise UnicodeDecodeError("utf-8", content, 0, len(mark), f"it begins like {name}; save it as UTF-8")
    text = content.decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a text.

    :raises ValueError: it is not TOML, or nested as nothing is that a person wrote.
    """
    import tomllib  # which commands that read no project do without, as most do

    if sum(found[0].count(".") ** 2 for found in _DOTTED.finditer(text)) > _DOTTED_LIMIT:
        raise ValueError("its dotted keys are too long")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise ValueError("a number in it has too many digits") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if any(type(value) is int and value.bit_length() > _BITS for value in _values(table)):
        raise ValueError(f"a number in it has more than {_BITS} bits")
    return table


def parse_json(content: str | bytes) -> Any:
    """What a text says.

    :raises ValueError: it is not JSON, or nested as nothing is that was written on purpose.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _values(table: object) -> Iterator[object]:
    waiting = [table]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        else:
            yield value
