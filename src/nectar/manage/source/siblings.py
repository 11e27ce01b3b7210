"""The modules beside a file that it imports, and those that they import."""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar.manage.files import authored
from nectar.manage.tree.leavings import is_leaving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IMPORT = r"(?m)^[ \t]*(?:import[ \t]+([\w., \t]+)|from[ \t]+([\w.]+)[ \t]+import\b)"
_NOT_TAKEN = sys.stdlib_module_names | {"nectar", "__main__"}
_DEEPEST = 20
"""Levels of packages in packages."""
_PARSED = 128 * 1024
"""Bytes of the largest file that is parsed."""
_SLOW = 10**9
"""Bytes of a file times its braces, above which it is not: Python 3.11 takes the square of an f-string's length for each."""


class Module(NamedTuple):
    """One module that goes along.

    :ivar name: as it is imported.
    :ivar origin: its file; of a package that has none, where its ``__init__.py`` would be.
    """

    name: str
    origin: Path
    package: bool

    def read(self) -> bytes:
        """:raises EnvironmentFailedError: it cannot be read."""
        with authored.name_failure(self.origin):
            return authored.read_bytes(self.origin, authored.CODE) if self.origin.is_file() else b""


def find(file: Path, may_be_taken: Callable[[Path], bool]) -> list[Module]:
    """All modules beside a file that it imports, directly or through them, sorted by name.

    Names of the standard library are never taken from there, nor is ``nectar``. A package comes whole. A file that cannot be
    parsed, or not soon, is searched line by line: what is wrong with it is told by the process that loads it.

    :param may_be_taken: says it of a file, which may be a link.
    """
    file = file.resolve()  # Python looks beside what a link leads to
    found: dict[str, Module] = {}
    waiting = [file]
    beside = set(os.listdir(file.parent))
    while waiting:
        for name in sorted(_imported(waiting.pop())):
            if (
                beside.isdisjoint((name, f"{name}.py"))
                or name in found
                or name in _NOT_TAKEN
                or (name == file.stem and (file.parent / f"{name}.py") == file)
            ):
                continue
            for module in _at(file.parent, name):
                there = os.path.isfile(module.origin)
                if there and not may_be_taken(module.origin):
                    continue
                found[module.name] = module
                if there:
                    waiting.append(module.origin)
    return [found[name] for name in sorted(found)]


def _at(directory: Path, name: str) -> list[Module]:
    """The module of that name in a directory: of a package, all that is in it."""
    package, single = directory / name, directory / f"{name}.py"
    if os.path.isfile(package / "__init__.py") or (not os.path.isfile(single) and os.path.isdir(package)):
        return _inside(package, name)
    return [Module(name, single, package=False)] if os.path.isfile(single) else []


def _inside(directory: Path, name: str) -> list[Module]:
    """The modules of a package, and the packages in it that hold one."""
    found: list[Module] = []
    for place, inner, files in os.walk(directory):
        parts = (name, *Path(place).relative_to(directory).parts)
        inner[:] = sorted(each for each in inner if each.isidentifier() and not is_leaving(each)) if len(parts) < _DEEPEST else []
        modules = [
            Path(place, each)
            for each in sorted(files)
            if each.endswith(".py") and each != "__init__.py" and all(each[:-3].split("."))
        ]
        found.append(Module(".".join(parts), Path(place, "__init__.py"), package=True))
        found += [Module(".".join((*parts, each.stem)), each, package=False) for each in modules if os.path.isfile(each)]
    needed = {
        ".".join(each.name.split(".")[:end]) for each in found if os.path.isfile(each.origin) for end in range(1, _DEEPEST + 2)
    }
    return [each for each in found if each.name in needed]


def _imported(file: Path) -> set[str]:
    """The first parts of the names that a file imports."""
    try:
        content = authored.read_bytes(file, authored.CODE)
    except OSError:
        return set()
    tree = _parsed(content)
    if tree is None:
        return {part.split(".")[0].split(" ")[0] for part in map(str.strip, _names_by_line(content))} - {""}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def _parsed(content: bytes) -> ast.Module | None:
    if len(content) > _PARSED or len(content) * content.count(b"{") > _SLOW:
        return None
    try:
        with warnings.catch_warnings():  # they are shown to who runs the code
            warnings.simplefilter("ignore")
            return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names_by_line(content: bytes) -> Iterator[str]:
    for found in re.finditer(_IMPORT, content.decode("utf-8-sig", errors="replace")):
        yield from (found[1] or found[2]).split(",")
