"""The modules beside a file that it imports, and those that they import."""

from __future__ import annotations

import ast
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IMPORT = re.compile(r"^[ \t]*(?:import[ \t]+([\w., \t]+)|from[ \t]+([\w.]+)[ \t]+import\b)", re.MULTILINE)
_NOT_TAKEN = sys.stdlib_module_names | {"nectar", "__main__"}
_SKIPPED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True)
class Module:
    """One module that goes along.

    :ivar name: as it is imported.
    :ivar origin: its file; of a package that has none, where its ``__init__.py`` would be.
    """

    name: str
    origin: Path
    package: bool

    def read(self) -> bytes:
        return self.origin.read_bytes() if self.origin.exists() else b""


def find(file: Path, may_be_taken: Callable[[Path], bool]) -> list[Module]:
    """All modules beside a file that it imports, directly or through them, sorted by name.

    Names of the standard library are never taken from there, nor is ``nectar``. A package comes whole. A file that cannot be
    parsed is searched line by line: what is wrong with it is told by the process that loads it.

    :param may_be_taken: says it of a file, which may be a link.
    """
    file = file.resolve()  # Python looks beside what a link leads to
    found: dict[str, Module] = {}
    waiting = [file]
    while waiting:
        for name in sorted(_imported(waiting.pop())):
            if name in found or name in _NOT_TAKEN or (name == file.stem and (file.parent / f"{name}.py") == file):
                continue
            for module in _at(file.parent, name):
                there = module.origin.exists()
                if there and not may_be_taken(module.origin):
                    continue
                found[module.name] = module
                if there:
                    waiting.append(module.origin)
    return [found[name] for name in sorted(found)]


def _at(directory: Path, name: str) -> list[Module]:
    """The module of that name in a directory: of a package, all that is in it."""
    package = directory / name
    if (package / "__init__.py").is_file() or (not (directory / f"{name}.py").is_file() and package.is_dir()):
        inside = list(_inside(package, name))
        return inside if any(module.origin.exists() for module in inside) else []
    single = directory / f"{name}.py"
    return [Module(name, single, package=False)] if single.is_file() else []


def _inside(directory: Path, name: str) -> Iterator[Module]:
    yield Module(name, directory / "__init__.py", package=True)
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        stem, ending = os.path.splitext(entry.name)
        if entry.is_file() and ending == ".py" and stem != "__init__" and all(stem.split(".")):
            yield Module(f"{name}.{stem}", Path(entry.path), package=False)
        elif entry.is_dir(follow_symlinks=False) and entry.name.isidentifier() and entry.name not in _SKIPPED:
            inside = list(_inside(Path(entry.path), f"{name}.{entry.name}"))
            if any(module.origin.exists() for module in inside):
                yield from inside


def _imported(file: Path) -> set[str]:
    """The first parts of the names that a file imports."""
    try:
        content = file.read_bytes()
    except OSError:
        return set()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {part.strip().split(".")[0].split(" ")[0] for part in _names_by_line(content.decode("utf-8", errors="replace"))} - {
            ""
        }
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def _names_by_line(text: str) -> Iterator[str]:
    for found in _IMPORT.finditer(text):
        yield from (found[1] or found[2]).split(",")
