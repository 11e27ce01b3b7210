"""Imports of a handler's modules that work only because another dependency needs the same distribution, and may cease to some day.

What is told of is certain: an import that stands by itself at the top of a module, of a name that none of the declared distributions
installs. What is in a ``try``, an ``if`` or a function may be meant to fail, and is left alone.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, NamedTuple

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import installed
from nectar.manage.files import authored
from nectar.manage.source.pyproject import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nectar.manage.environment.generations import Environment
    from nectar.manage.environment.installed import Distribution

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)['"]""")
_MOST = 5
"""Imports that are told of at once."""
_LONGEST = 256 * 1024
"""Bytes of a module that is looked into."""


class Undeclared(NamedTuple):
    """:ivar module: the file, as its author calls it.
    :ivar name: what it imports.
    :ivar distribution: what that comes with.
    """

    module: str
    name: str
    distribution: str


def find(environment: Environment) -> list[Undeclared]:
    """A few of them, in an environment as it was built; where that is none, nothing."""
    if len(environment.marker.distributions) == 1:
        return []
    try:
        found = {each.name: each for each in installed.read_distributions(environment.path)}
        own = found.pop(normalise(environment.marker.distribution.partition(" ")[0]))
        declared = _find_declared(own, found)
        provided = {name: each.name for each in found.values() if each.name not in declared for name in _top_levels(each)}
        for each in (own, *(found[name] for name in declared if name in found)):
            for name in _top_levels(each):
                provided.pop(name, None)
        if not provided:
            return []
        modules = list(_modules(environment, own))
        ours = {os.path.splitext(label)[0].split("/")[0] for label, _ in modules}
        wanted = provided.keys() - sys.stdlib_module_names - ours
        told = (Undeclared(label, name, provided[name]) for label, file in modules for name in _imports(file, wanted))
        return sorted({each.name: each for each in told}.values())[:_MOST]
    except (EnvironmentFailedError, OSError, KeyError, ValueError, TypeError):
        return []


def _find_declared(own: Distribution, found: dict[str, Distribution]) -> set[str]:
    """The names of what a distribution requires, with its extras or without, and of what comes with the extras that it asks for.

    What installs no module only stands for what it requires itself.
    """
    declared: set[str] = set()
    waiting = [(name, extras) for name, extras, _ in _requirements(own)]
    done = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        declared.add(name)
        if name in found:
            further = list(_requirements(found[name]))
            stands_for = not _top_levels(found[name])
            waiting += [(other, its) for other, its, extra in further if extra in extras or (stands_for and extra is None)]
    return declared


def _requirements(each: Distribution) -> Iterator[tuple[str, frozenset[str], str | None]]:
    """Name, the extras that are asked for of it, and the extra that it belongs to."""
    for line in each.requires:
        matched, extra = _REQUIREMENT.match(line), _EXTRA.search(line.partition(";")[2])
        if matched:
            asked = frozenset(normalise(part.strip()) for part in (matched[2] or "").split(",") if part.strip())
            yield normalise(matched[1]), asked, normalise(extra[1]) if extra else None


def _top_levels(each: Distribution) -> set[str]:
    """What can be imported of it."""
    found = set()
    for path, _, _ in each.files:
        first, *rest = path.split("/")
        name = first.partition(".")[0]
        importable = path.endswith((".py", ".so"))
        if importable and name.isidentifier() and (not rest or "." not in first):
            found.add(name)
    return found


def _modules(environment: Environment, own: Distribution) -> Iterator[tuple[str, Path]]:
    """The handler's modules: as they are called, relative to what they are imported from, and where they lie."""
    if environment.snapshot is not None:
        manifest = json.loads(authored.read_text(environment.snapshot, authored.CODE))
        for module in manifest["modules"].values():
            name = str(module["file"]).removeprefix("modules/")
            yield name, environment.snapshot.parent / str(module["file"])
        return
    packages = installed.find_site_packages(environment.path)
    for path, _, _ in own.files:
        if path.endswith(".py"):
            yield path, packages / path


def _imports(file: Path, names: Iterable[str]) -> Iterator[str]:
    """Which of some names a module imports at its top, whatever happens."""
    text = authored.read_bytes(file, authored.CODE)
    listed = "|".join(map(re.escape, names)).encode()
    if len(text) > _LONGEST or not listed or not re.search(rb"(?m)^(?:import|from)\b.*\b(?:" + listed + rb")\b", text):
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # whoever loads it says so
    wanted = set(names)
    for node in tree.body:
        if isinstance(node, ast.Import):
            tops = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            tops = {node.module.partition(".")[0]}
        else:
            continue
        yield from sorted(tops & wanted)
