"""Extras: the optional dependencies of a handler that its author or a person chose, by the names that its project gives them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import UsageError
from nectar.manage.source.pyproject import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PATH = rf"(?s)(?P<path>.+)\[\s*(?P<extras>{_NAME}(?:\s*,\s*{_NAME})*)\s*\]"
_REQUIREMENT = r"(?s)(?P<name>\s*[A-Za-z0-9._-]+)(?:\s*\[(?P<extras>[^\]]*)\])?(?P<rest>.*)"


def check(name: str) -> str:
    """Return the name of an extra as it is.

    :raises UsageError: none can have it.
    """
    if not re.fullmatch(_NAME, name):
        raise UsageError(f"{name!r} cannot be an extra.", hint="It is a name in [project.optional-dependencies].")
    return name


def part_path(path: Path) -> tuple[Path, tuple[str, ...]]:
    """A path with extras behind it, as ``x.whl[fast]``, in its two parts; a path that is there is one as a whole."""
    found = re.fullmatch(_PATH, str(path))
    if found is None or os.path.lexists(path):
        return path, ()
    return Path(found["path"]), _split(found["extras"])


def list_of(requirement: str) -> tuple[str, ...]:
    """Those that stand in a requirement."""
    found = re.fullmatch(_REQUIREMENT, requirement)
    return _split(found["extras"] or "") if found else ()


def add(requirement: str, names: Iterable[str]) -> str:
    """A requirement with more extras; without any, as it was written."""
    found = re.fullmatch(_REQUIREMENT, requirement)
    if found is None or not (more := join(names)):
        return requirement
    return f"{found['name']}[{','.join(join((*list_of(requirement), *more)))}]{found['rest']}"


def join(names: Iterable[str]) -> tuple[str, ...]:
    """All of them, each once, as they are compared."""
    return tuple(sorted(set(map(normalise, names))))


def require(wanted: Iterable[str], provided: Iterable[str], *, where: str) -> None:
    """:raises UsageError: some of them are not provided; those that are are named."""
    there = join(provided)
    missing = [name for name in join(wanted) if name not in there]
    if missing:
        raise UsageError(
            f"There is no extra {missing[0]!r}.",
            where=where,
            hint=f"There are: {', '.join(there)}." if there else "There are none.",
        )


def _split(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
