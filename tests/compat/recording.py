"""A directory as text: recorded with all that git does not keep, and laid out again on whatever machine.

A recording is one JSON file. Of each entry it has the path, what it is, its mode, how old it was, and its content as lines. What
names a place of the machine where it was recorded stands in it as a word between two ``@``, and is another place where it is laid out.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import re
import socket
import stat
import sys
import time
from pathlib import Path
from typing import Any

from nectar import address

AGE = 3600.0
"""Seconds by which all that is laid out is older than it was when it was recorded."""
LONG = 64 * 1024
LAST_LINES = 20
"""Of a file that is longer, so many lines are kept."""

_LEFT_OUT = re.compile(
    r".*/__pycache__"
    r"|bee-hive/nectar/envs/[^/]+/(venv/)?bin"  # an interpreter and its scripts: what counts of it is laid out anew
    r"|bee-hive/nectar/runtime/.*"  # nectar itself: what another version finds of it is of no use to it
)


def record(root: Path, nectar: Path) -> list[dict[str, Any]]:
    """The entries of all that is in a directory, whose data dir is ``bee-hive``.

    :param nectar: the environment of the nectar that made it.
    """
    now, places = time.time(), Places(root, nectar)
    paths = [path for path in sorted(root.rglob("*")) if not _is_left_out(path.relative_to(root))]
    return [{"path": places.hide(str(path.relative_to(root))), **_entry(path, places, now)} for path in paths]


def lay_out(entries: list[dict[str, Any]], root: Path, *, environments: bool = True) -> None:
    """Make a directory as it was when it was recorded.

    :param environments: lay out environments with an interpreter of this machine; otherwise they are gone.
    """
    places = Places(root, Path(sys.prefix))
    made = []
    for entry in entries:
        path = root / places.show(entry["path"])
        if environments or not re.match(r"bee-hive/nectar/envs/[0-9a-f]", entry["path"]):
            _make(path, entry, places)
            made.append((path, entry))
    for path in root.glob("bee-hive/nectar/envs/*/pyvenv.cfg"):
        _complete(path.parent)
    for path, entry in reversed(made):  # a directory after what is in it
        if entry["kind"] != "link":
            path.chmod(int(entry["mode"], 8))
        then = time.time() - entry["age"] - AGE
        os.utime(path, (then, then), follow_symlinks=False)


def _is_left_out(path: Path) -> bool:
    return any(_LEFT_OUT.fullmatch(str(each)) for each in (path, *path.parents))


def _entry(path: Path, places: Places, now: float) -> dict[str, Any]:
    status = path.lstat()
    basic = {"mode": f"{stat.S_IMODE(status.st_mode):o}", "age": round(max(0.0, now - status.st_mtime), 3)}
    if path.is_symlink():
        return {"kind": "link", **basic, "to": places.hide(os.readlink(path))}
    if path.is_dir():
        return {"kind": "directory", **basic}
    if path.is_socket():
        return {"kind": "socket", **basic}
    lines = places.hide(os.fsdecode(path.read_bytes())).splitlines(keepends=True)
    return {"kind": "file", **basic, "lines": lines[-LAST_LINES:] if status.st_size > LONG else lines}


def _make(path: Path, entry: dict[str, Any], places: Places) -> None:
    match entry["kind"]:
        case "directory":
            path.mkdir(parents=True, exist_ok=True)
        case "link":
            path.symlink_to(places.show(entry["to"]))
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                address.bind(bound, path)
        case "file":
            path.write_bytes(os.fsencode(places.show("".join(entry["lines"]))))


def _complete(environment: Path) -> None:
    """Give an environment an interpreter, and its distributions the records of files with other places in them."""
    directory = environment / "bin"
    directory.mkdir()
    (directory / "python").symlink_to(_interpreter())
    for name in ("python3", Path(_interpreter()).name):
        (directory / name).symlink_to("python")
    for record in environment.glob("lib/*/site-packages/*.dist-info/RECORD"):
        packages = record.parent.parent
        record.write_text("".join(_recorded(line, packages) for line in record.read_text().splitlines(keepends=True)))


def _recorded(line: str, packages: Path) -> str:
    name, digest, _ = line.split(",")
    if not digest:
        return line
    content = (packages / name).read_bytes()
    made = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={made},{len(content)}\n"


class Places:
    """What of a text is another on each machine, and the words that stand for it."""

    def __init__(self, root: Path, nectar: Path) -> None:
        minor = ".".join(platform.python_version_tuple()[:2])
        self._words = [
            (str(root), "@ROOT@"),
            (str(nectar), "@NECTAR@"),
            (_interpreter(), "@INTERPRETER@"),
            (sys.base_prefix, "@PREFIX@"),
            (platform.python_version(), "@VERSION@"),
            (f"python{minor}", "python@MINOR@"),
        ]

    def hide(self, text: str) -> str:
        for place, word in self._words:
            text = text.replace(place, word)
        return text

    def show(self, text: str) -> str:
        for place, word in self._words:
            text = text.replace(word, place)
        return text


def _interpreter() -> str:
    return os.path.realpath(sys.executable)
