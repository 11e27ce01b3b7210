"""A single ``.py`` file as a handler: wrapped into a project like any other.

The project's one package, ``_nectar_file``, holds the file and the modules beside it that it imports, as they are now, and a
manifest that says which is which. The handler's process loads them from there, under the author's own file names.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import tomli_w

from nectar.manage.files import authored
from nectar.manage.files.strangers import planted
from nectar.manage.source import inline_metadata, package, siblings
from nectar.manage.source.path_sources import Gathering, gather
from nectar.manage.source.plan import LOCK, Plan
from nectar.manage.source.pyproject import GROUP, Project, normalised
from nectar.manage.tree import trees
from nectar.manage.tree.bounds import Bounds
from nectar.manage.tree.pieces import Piece
from nectar.manage.uv import configuration
from nectar.manage.uv.interpreters import Request, pinned, required

SNAPSHOT = "_nectar_file"
"""The package in the environment that holds the files."""
MANIFEST = "manifest.json"
VERSION = "0"
_OURS = frozenset({"__main__", "nectar", SNAPSHOT})

read_metadata = inline_metadata.read


def module_name(file: Path) -> str:
    """The name that the file's module gets: its stem, made one that can be imported and that is nobody else's."""
    name = re.sub(r"\W", "_", file.stem)
    name = f"_{name}" if name[:1].isdigit() else name
    return f"{name}_file" if not name.isidentifier() or name in sys.stdlib_module_names or name in _OURS else name


def plan(file: Path, *, python: str | None, but: tuple[Path, ...]) -> Plan:
    """What the environment of a single file is made of.

    :param python: what ``--python`` asked for.
    :param but: directories that are never source.
    """
    said = read_metadata(file)
    module = module_name(file)
    distribution = f"{normalised(re.sub('[^A-Za-z0-9]+', '-', file.stem).strip('-')) or 'handler'}-file"
    table = _project(said, distribution, module)
    directory = file.parent.resolve()
    around = Gathering()
    gather(Project(directory, table, alone=True), around, whole=True)
    around.whole.pop(directory)
    base = around.base(directory)
    project = package.position(directory, base)

    def place(name: str) -> str:
        return f"{project}/{name}".removeprefix("/")

    made = Plan(distribution=distribution, project=project, lock=place(LOCK), locals_=[distribution], python=_request(said, python))
    package.take(made, around, base, but)
    made.put(place("pyproject.toml"), Piece(content=tomli_w.dumps(table).encode()))
    for name, content in _snapshot(file, module, made.left_out).items():
        made.put(place(f"src/{SNAPSHOT}/{name}"), Piece(content=content))
    if not said.uv:
        made.configured_by = configuration.uv_toml(directory / file.name)
    if made.resolved_by is not None:
        made.resolved_by.append(place("pyproject.toml"))
    lock = file.with_name(f"{file.name}.lock")
    locked = _beside(lock, file, made.left_out)
    if locked:
        made.script_lock = place(lock.name)
        made.lock_of = lock
        made.put(place(file.name), Piece(content=_read(file)))
        made.put(made.script_lock, Piece(origin=locked))
        if made.resolved_by is not None:
            made.resolved_by.append(made.script_lock)
    elif around.whole or around.files:
        made.outside = str(min([*around.whole, *around.files]))
    return made


def _read(file: Path) -> bytes:
    with authored.needed(file):
        return authored.read_bytes(file, authored.CODE)


def _beside(each: Path, file: Path, left_out: list[str]) -> Path | None:
    """The file to read for one beside the handler's, or in a package there; None where it is not taken.

    :param left_out: gets a line where it is a link to what is not taken, or a stranger's.
    """
    directory = file.parent
    ways = [place for place in (each, *each.parents) if place != directory and place.is_relative_to(directory)]
    if any(planted(place, file) for place in ways):
        left_out.append(f"Left out: {each}, which another user has put there: anybody may put files into the directory.")
        return None
    return trees.content_of(each, Bounds(directory.resolve()), left_out)


def _snapshot(file: Path, module: str, left_out: list[str]) -> dict[str, bytes]:
    """The files of the package that holds the handler, by their names in it.

    :param left_out: gets a line for each module that is not taken.
    """
    beside = siblings.find(file, lambda each: _beside(each, file.resolve(), left_out) is not None)
    manifest: dict[str, Any] = {"entry": module, "modules": {}}
    files = {"__init__.py": b""}
    for each in [siblings.Module(module, file, package=False), *(each for each in beside if each.name != module)]:
        name = "modules/" + each.name.replace(".", "/") + ("/__init__.py" if each.package else ".py")
        manifest["modules"][each.name] = {"file": name, "origin": str(each.origin), "package": each.package}
        files[name] = each.read()
    return {**files, MANIFEST: json.dumps(manifest, indent=1).encode()}


def _project(said: inline_metadata.Metadata, distribution: str, module: str) -> dict[str, Any]:
    uv = {**said.uv, "package": True, "build-backend": {"module-name": SNAPSHOT, "module-root": "src"}}
    for group in ("default-groups", "dev-dependencies", "workspace"):
        uv.pop(group, None)
    return {
        "project": {
            "name": distribution,
            "version": VERSION,
            "requires-python": said.requires_python or ">=3.11",
            "dependencies": said.dependencies,
            "entry-points": {GROUP: {module: module}},
        },
        # uv builds this itself, without a download, where its own version is in bounds (it insists on an upper one).
        "build-system": {"requires": ["uv_build>=0.9,<100"], "build-backend": "uv_build"},
        "tool": {"uv": uv},
    }


def _request(said: inline_metadata.Metadata, python: str | None) -> Request:
    requires = required([(said.requires_python, said.file)])
    if python or requires:
        return Request(requires, python)
    return Request(None, pinned(said.file.parent, said.file), str(said.file.parent / ".python-version"))
