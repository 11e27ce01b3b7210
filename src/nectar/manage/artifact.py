"""A wheel, an sdist or a requirement as a handler: a project of nothing but that one dependency."""

from __future__ import annotations

import re
from pathlib import Path

from nectar.errors import UsageError
from nectar.manage.plan import Plan
from nectar.manage.project import normalised

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:$|[<>=!~;@ (])")


def requirement_name(requirement: str) -> str:
    """The distribution that a requirement asks for.

    :raises UsageError: it is no requirement.
    """
    found = _REQUIREMENT.match(requirement)
    if not found:
        raise UsageError(f"{requirement!r} is not a requirement.", hint="One looks like 'my-handler==1.0'.")
    return found[1]


def wheel_name(path: Path) -> str:
    """The distribution in a wheel, from its file name."""
    return path.name.split("-", 1)[0]


def sdist_name(path: Path) -> str:
    """The distribution in an sdist, from its file name."""
    return re.split(r"-\d", path.name, maxsplit=1)[0].removesuffix(".zip").removesuffix(".tar.gz")


def plan_requirement(requirement: str, *, python: str | None) -> Plan:
    raise UsageError("A requirement is not supported yet.")


def plan_file(path: Path, *, python: str | None) -> Plan:
    raise UsageError("Wheels and sdists are not supported yet.", where=str(path))


__all__ = ["normalised"]
