"""A wheel, an sdist or a requirement as a handler: a project of nothing but that one dependency."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tomli_w

from nectar.errors import UsageError
from nectar.manage.source import extras
from nectar.manage.source.plan import Asked, Plan
from nectar.manage.source.pyproject import NAME, normalise
from nectar.manage.tree.assembly import Assembly
from nectar.manage.tree.pieces import Piece
from nectar.manage.uv import logins
from nectar.manage.uv.interpreters import Request, join_required
from nectar.settings import FLOOR

_REQUIREMENT = r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:$|[<>=!~;@ (])"
_SPECIFIERS = r"(?a)[<>=!~0-9][\w.*+!<>=~, ]{0,200}"
_WRAPPER = "nectar-environment"
_MINOR = r"(\d+\.\d+)(?:\.\d+)?"


def requirement_name(requirement: str) -> str:
    """The distribution that a requirement asks for.

    :raises UsageError: it is no requirement.
    """
    found = re.match(_REQUIREMENT, requirement)
    if not found:
        shown = "This" if ":" in requirement else repr(requirement)  # an address may hold a password
        raise UsageError(
            f"{shown} is not a requirement.",
            hint="One looks like 'my-handler==1.0', or 'my-handler @ https://host/my_handler.whl'.",
        )
    return found[1]


def wheel_name(path: Path) -> str:
    """The distribution in a wheel, from its file name.

    :raises UsageError: it is not the name of one.
    """
    return _named(path.name.split("-", 1)[0], path, "a wheel", "my_handler-1.0-py3-none-any.whl")


def sdist_name(path: Path) -> str:
    """The distribution in an sdist, from its file name.

    :raises UsageError: it is not the name of one.
    """
    stem = re.sub(r"\.(tar\.\w+|tgz|zip)$", "", path.name)
    return _named(re.split(r"-(?=\d)", stem, maxsplit=1)[0], path, "an sdist", "my_handler-1.0.tar.gz")


def _named(name: str, path: Path, what: str, example: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"This is not the name of {what}.", where=str(path), hint=f"One looks like {example}.")
    return name


def plan_requirement(requirement: str, *, python: str | None) -> Plan:
    """What the environment of something on the index is made of; a login is no part of it."""
    asked = Asked(python=Request(None, python), extras=extras.join(extras.list_of(requirement)))
    assembly = Assembly()
    assembly.put("pyproject.toml", _wrapper([logins.remove(requirement)], {}, _oldest(asked.python)))
    return Plan(distribution=normalise(requirement_name(requirement)), wrapped=True, tree=assembly.finish(), asked=asked)


def plan_file(path: Path, *, python: str | None, chosen: tuple[str, ...] = ()) -> Plan:
    """What the environment of a wheel or an sdist is made of: the file itself, and what it depends on.

    :param chosen: extras.
    """
    name = normalise(wheel_name(path) if path.suffix == ".whl" else sdist_name(path))
    requires = _requires_python(path)
    asked = Asked(python=Request(join_required([(requires, path)]), python), extras=chosen)
    assembly = Assembly()
    assembly.put(f"given/{path.name}", Piece(origin=path.resolve()))
    sources = {name: {"path": f"given/{path.name}"}}
    assembly.put("pyproject.toml", _wrapper([extras.add(name, chosen)], sources, requires or _oldest(asked.python)))
    return Plan(distribution=name, wrapped=True, locals_=(name,), tree=assembly.finish(), asked=asked)


def _oldest(python: Request) -> str:
    """The ``requires-python`` of a wrapper around what says nothing of it."""
    wanted = re.fullmatch(_MINOR, python.wanted or "")
    return f">={wanted[1]}" if wanted else FLOOR


def _wrapper(dependencies: list[str], sources: dict[str, Any], requires: str) -> Piece:
    """The ``pyproject.toml`` of a project that has nothing but dependencies."""
    project = {
        "project": {"name": _WRAPPER, "version": "0", "requires-python": requires, "dependencies": dependencies},
        "tool": {"uv": {"package": False, "sources": sources}},
    }
    return Piece(content=tomli_w.dumps(project).encode())


def _requires_python(path: Path) -> str | None:
    """What a wheel's or sdist's own metadata says of Python; None where it says nothing, or cannot be read (uv will say why)."""
    import email.parser  # which other handlers do not need

    from nectar.manage.source import archive

    text = archive.read_metadata(path)
    found = email.parser.BytesParser().parsebytes(text, headersonly=True)["Requires-Python"] if text else None
    said = " ".join(str(found).split()) if found else ""
    return said if re.fullmatch(_SPECIFIERS, said) else None
