"""What is in a virtual environment, read from outside, without running anything of it."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.project import GROUP, PLUGINS, normalised

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = re.compile(r"nectar(/.*|\.py|\..*\.so|\.so|\.pyd)", re.DOTALL)


@dataclass(frozen=True)
class Distribution:
    """One installed distribution.

    :ivar name: normalised.
    :ivar files: from its RECORD: path relative to site-packages, with the ``sha256=…`` and the size where the RECORD has them.
    """

    name: str
    version: str
    files: list[tuple[str, str | None, int | None]]
    entries: dict[str, list[tuple[str, str]]]


def site_packages(venv: Path) -> Path:
    """Where distributions are installed in a venv.

    :raises EnvironmentFailedError: it is none.
    """
    found = sorted((venv / "lib").glob("python3*/site-packages"))
    if not found:
        raise EnvironmentFailedError("The environment holds no site-packages.", where=str(venv))
    return found[0]


def version_of(venv: Path) -> str:
    """The version of a venv's Python, as in ``3.12.1``."""
    try:
        text = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^version(?:_info)? *= *(\d+\.\d+(?:\.\d+)?)", text, re.MULTILINE)
    return found[1] if found else ""


def distributions(venv: Path) -> list[Distribution]:
    """What is installed, sorted by name."""
    import importlib.metadata  # which is slow to import, and not needed for what has been built

    found = []
    for each in importlib.metadata.distributions(path=[str(site_packages(venv))]):
        entries: dict[str, list[tuple[str, str]]] = {}
        for entry in each.entry_points:
            entries.setdefault(entry.group, []).append((entry.name, entry.value))
        files = [
            (str(PurePosixPath(file)), f"{file.hash.mode}={file.hash.value}" if file.hash else None, file.size)
            for file in each.files or []
        ]
        found.append(Distribution(normalised(each.metadata["Name"] or ""), each.version, files, entries))
    return sorted(found, key=lambda each: each.name)


def entries(found: list[Distribution], name: str) -> dict[str, str]:
    """The entry points for handlers of one distribution."""
    return dict(pair for each in found if each.name == normalised(name) for pair in each.entries.get(GROUP, []))


def plugins(found: list[Distribution]) -> list[tuple[str, str]]:
    """The entry points for plugins of all of them."""
    return [pair for each in found for pair in each.entries.get(PLUGINS, [])]


def refuse_ours(found: list[Distribution]) -> None:
    """Refuse an environment in which something is called as nectar is.

    :raises EnvironmentFailedError: a distribution installs a module ``nectar``.
    """
    for each in found:
        if any(_OURS.fullmatch(path) for path, _, _ in each.files):
            raise EnvironmentFailedError(
                f"The distribution {each.name} {each.version} installs a module named nectar, which would hide nectar's own.",
                where=f"a dependency of the handler: {each.name}",
                hint="Remove it from the handler's dependencies: nectar's own module is there without it.",
            )


def refuse_lost_entries(venv: Path, found: dict[str, str]) -> None:
    """Refuse an entry point whose module is nowhere.

    :raises EnvironmentFailedError: one is.
    """
    packages = site_packages(venv)
    if any(path.name not in ("_virtualenv.pth", "distutils-precedence.pth") for path in packages.glob("*.pth")):
        return  # it may add directories, and only running it would tell
    for name, value in found.items():
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


def mismatches(venv: Path, found: list[Distribution], *, content: bool) -> Iterator[str]:
    """The files that are not as their distribution's RECORD says, each with what is wrong.

    :param content: compare hashes too, not only presence and size.
    """
    packages = site_packages(venv)
    for each in found:
        if not each.files:
            yield f"{each.name}: no RECORD"
        for path, digest, size in each.files:
            problem = _problem(packages / path, digest if content else None, size)
            if problem and not path.endswith(".pyc"):
                yield f"{each.name}: {path} {problem}"


def _problem(file: Path, digest: str | None, size: int | None) -> str | None:
    try:
        there = file.stat().st_size
    except OSError:
        return "is missing"
    if size is not None and there != size:
        return f"has {there} bytes instead of {size}"
    if digest and digest.startswith("sha256="):
        with file.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").digest()
        if base64.urlsafe_b64encode(actual).rstrip(b"=").decode() != digest.removeprefix("sha256="):
            return "has another content"
    return None
