"""What is in a virtual environment, read from outside, without running anything of it."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar.entries import GROUP, PLUGINS
from nectar.errors import EnvironmentFailedError
from nectar.manage.files import authored
from nectar.manage.source.pyproject import normalise
from nectar.protocol import EntryPoint
from nectar.regular import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_METADATA = 64 * authored.MEBIBYTE
"""Bytes of a file that says what a distribution is: the RECORD of one with 100,000 files has some 15 MiB."""
_SIZE = r"[0-9]{1,18}"
_HASHES = ("sha256", "sha384", "sha512")
_OURS = r"(?s)nectar(/.*|\.py|\..*\.so|\.so|\.pyd)"


class Distribution(NamedTuple):
    """One installed distribution.

    :ivar name: normalised.
    :ivar files: from its RECORD: path relative to site-packages, with the ``sha256=…`` and the size where the RECORD has them.
    :ivar requires: as its METADATA lists it: ``name[extra]>=1; extra == "fast"``.
    """

    name: str
    version: str
    files: list[tuple[str, str | None, int | None]]
    entries: dict[str, list[EntryPoint]]
    extras: Sequence[str] = ()
    requires: Sequence[str] = ()


def find_site_packages(venv: Path) -> Path:
    """Where distributions are installed in a venv.

    :raises EnvironmentFailedError: it is none.
    """
    found = sorted((venv / "lib").glob("python3*/site-packages"))
    if not found:
        raise EnvironmentFailedError("The environment holds no site-packages.", where=str(venv))
    return found[0]


def read_version(venv: Path) -> str:
    """The version of a venv's Python, as in ``3.12.1``."""
    try:
        text = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^version(?:_info)? *= *(\d+\.\d+(?:\.\d+)?)", text, re.MULTILINE)
    return found[1] if found else ""


def read_distributions(venv: Path) -> list[Distribution]:
    """What is installed, sorted by name. What cannot be read of one, it does not have."""
    found = [_distribution(place) for place in find_site_packages(venv).glob("*.dist-info")]
    return sorted(found, key=lambda each: each.name)


def _distribution(place: Path) -> Distribution:
    from email.parser import HeaderParser  # which is slow to import, and not needed for what has been built

    said = HeaderParser().parsestr(_text(place / "METADATA"))
    files, entries = _record(_text(place / "RECORD")), _entry_points(_text(place / "entry_points.txt"))
    extras, requires = (said.get_all(field) or [] for field in ("Provides-Extra", "Requires-Dist"))
    return Distribution(normalise(said["Name"] or ""), said["Version"] or "", files, entries, extras, requires)


def _entry_points(text: str) -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    group: list[EntryPoint] = []  # what stands before the first group is in none
    for line in map(str.strip, text.splitlines()):
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("[") and line.endswith("]"):
            group = found.setdefault(line[1:-1], [])
        elif equals and not line.startswith("#"):
            group.append(EntryPoint(name, value))
    return found


def _record(text: str) -> list[tuple[str, str | None, int | None]]:
    import csv  # slow to import, as base64 is, and not needed for what has been built

    try:
        rows = [row for row in csv.reader(text.splitlines()) if len(row) == 3]
    except csv.Error:  # a field that no file's name can be
        return []
    return [(path, digest or None, int(size) if re.fullmatch(_SIZE, size) else None) for path, digest, size in rows]


def _text(file: Path) -> str:
    try:
        return authored.read_bytes(file, _METADATA).decode(errors="replace")
    except OSError:
        return ""


def find_entries(found: list[Distribution], name: str) -> tuple[EntryPoint, ...]:
    """The entry points for handlers of one distribution; of several of a name, the last."""
    listed = [entry for each in found if each.name == normalise(name) for entry in each.entries.get(GROUP, [])]
    return tuple({entry.name: entry for entry in listed}.values())


def list_paths(found: list[Distribution], name: str) -> list[str]:
    """The files of one distribution, relative to site-packages."""
    return [path for each in found if each.name == normalise(name) for path, _, _ in each.files]


def find_plugins(found: list[Distribution]) -> tuple[EntryPoint, ...]:
    """The entry points for plugins of all of them."""
    return tuple(entry for each in found for entry in each.entries.get(PLUGINS, []))


def refuse_ours(found: list[Distribution]) -> None:
    """Refuse an environment in which something is called as nectar is.

    :raises EnvironmentFailedError: a distribution installs a module ``nectar``.
    """
    for each in found:
        if any(re.fullmatch(_OURS, path) for path, _, _ in each.files):
            raise EnvironmentFailedError(
                f"The distribution {each.name} {each.version} installs a module named nectar, which would hide nectar's own.",
                where=f"a dependency of the handler: {each.name}",
                hint="Remove it from the handler's dependencies: nectar's own module is there without it.",
            )


def refuse_lost_entries(venv: Path, found: Iterable[EntryPoint]) -> None:
    """Refuse an entry point whose module is nowhere.

    :raises EnvironmentFailedError: one is.
    """
    packages = find_site_packages(venv)
    if any(path.name not in ("_virtualenv.pth", "distutils-precedence.pth") for path in packages.glob("*.pth")):
        return  # it may add directories, and only running it would tell
    for name, value in found:
        module = re.split(r"[:\[ ]", value, maxsplit=1)[0]
        if module.split(".")[0] not in sys.stdlib_module_names and not _is_module(packages, module.split(".")):
            raise EnvironmentFailedError(
                f"The entry point {name!r} names the module {module!r}, which the project does not install.",
                where=f"{name} = {value!r} in the group {GROUP}",
                hint="Correct the entry point, or what the build backend packs.",
            )


def _is_module(packages: Path, parts: list[str]) -> bool:
    place = packages.joinpath(*parts[:-1])
    return (place / parts[-1]).is_dir() or (place / f"{parts[-1]}.py").is_file() or any(place.glob(f"{parts[-1]}.*.so"))


def refuse_outside(venv: Path, found: list[Distribution]) -> None:
    """Refuse a distribution that claims a file elsewhere as its own.

    :raises EnvironmentFailedError: one does.
    """
    packages = find_site_packages(venv)
    inside = _Inside(venv)
    for each in found:
        for path, _, _ in each.files:
            if not inside.holds(packages / path):
                raise EnvironmentFailedError(
                    f"The RECORD of the distribution {each.name} {each.version} names a file outside of its environment.",
                    where=path,
                    hint=f"Do without {each.name}: no honest build makes such a thing.",
                )


class _Inside:
    """What lies in an environment, and is not reached through a link that leads out of it."""

    def __init__(self, venv: Path) -> None:
        self._root = os.path.realpath(venv)
        self._real = functools.cache(os.path.realpath)

    def holds(self, file: Path) -> bool:
        if file.name == ".." or "\0" in str(file):
            return False
        return os.path.commonpath([self._root, self._real(file.parent)]) == self._root


def find_mismatches(venv: Path, found: list[Distribution], *, digests: Mapping[str, str] | None = None) -> Iterator[str]:
    """The files that are not as their distribution's RECORD says, each with what is wrong.

    :param digests: the SHA-256 of files, by path relative to the environment, where somebody has just read them.
    """
    packages = find_site_packages(venv)
    inside = _Inside(venv)
    for each in found:
        if not each.files:
            yield f"{each.name}: no RECORD"
        for path, digest, size in each.files:
            if path.endswith(".pyc"):
                continue
            file = packages / path
            known = (digests or {}).get(os.path.relpath(os.path.normpath(file), venv))
            problem = _problem(file, digest, size, known) if inside.holds(file) else "lies outside of the environment"
            if problem:
                yield f"{each.name}: {path} {problem}"


def _problem(file: Path, digest: str | None, size: int | None, known: str | None) -> str | None:
    import base64

    try:
        there = file.lstat()
    except OSError:
        return "is missing"
    if not stat.S_ISREG(there.st_mode):
        return "is no regular file"
    if size is not None and there.st_size != size:
        return f"has {there.st_size} bytes instead of {size}"
    name, _, wanted = (digest or "").partition("=")
    if name in _HASHES and base64.urlsafe_b64encode(_hash(file, name, known)).rstrip(b"=").decode() != wanted.rstrip("="):
        return "has another content"
    return None


def _hash(file: Path, name: str, known: str | None) -> bytes:
    if known is not None and name == "sha256":
        return bytes.fromhex(known)
    descriptor, _ = open_regular(file, follow=False)
    with open(descriptor, "rb") as stream:
        return hashlib.file_digest(stream, name).digest()
