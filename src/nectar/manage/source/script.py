"""A single ``.py`` file as a handler: wrapped into a project like any other.

The project's one package, ``_nectar_file``, holds the file and the modules beside it that it imports, as they are now, and a
manifest that says which is which: ``{"entry": name, "modules": {name: {"file", "origin", "package"}}}``, with the place in the
package, the author's own file, and whether it is a package. The handler's process loads them from there, under those files' names.
What is beside the file is named relative to that, and the file by its name alone: wherever it lies, on whatever machine, it is the same.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.entries import GROUP
from nectar.manage.files import authored
from nectar.manage.files.strangers import is_planted
from nectar.manage.source import inline_metadata, package, siblings
from nectar.manage.source.path_sources import gather
from nectar.manage.source.plan import LOCK, Asked, Locking, Plan
from nectar.manage.source.pyproject import UV_BUILD, Project, normalise
from nectar.manage.tree import trees
from nectar.manage.tree.bounds import Bounds
from nectar.manage.tree.pieces import Piece
from nectar.manage.uv import configuration
from nectar.manage.uv.interpreters import Request, join_required, read_pinned
from nectar.settings import FLOOR

if TYPE_CHECKING:
    from nectar.manage.tree.assembly import Assembly

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


def plan(file: Path, *, python: str | None, but: tuple[Path, ...], alone: bool = False) -> Plan:
    """What the environment of a single file is made of.

    :param python: what ``--python`` asked for.
    :param but: directories that are never source.
    :param alone: whether no link brings along what lies outside of its directory.
    """
    said, module, directory = read_metadata(file), module_name(file), file.parent.resolve()
    # Not the stem alone, so that click.py may depend on click.
    distribution = f"{normalise(re.sub('[^A-Za-z0-9]+', '-', file.stem).strip('-')) or 'handler'}-file"
    table = _project(said, distribution, module)
    around = gather(Project(directory, table, alone=True))
    base = around.base()
    around = around._replace(whole={place: each for place, each in around.whole.items() if place != directory})
    project = package.position(directory, base)
    below = f"{project}/" if project else ""
    asked = Asked(python=_request(said, python), settings=None if said.uv else configuration.find_beside(directory / file.name))
    assembly = package.assemble(around, base, but, alone=alone)
    told_by = package.told_by(around, assembly.pieces)
    assembly.put(f"{below}pyproject.toml", Piece(content=tomli_w.dumps(table).encode()))
    bounds = Bounds(directory, alone=alone)
    _put_snapshot(assembly, f"{below}src/{SNAPSHOT}", file, module, bounds)
    lock = _put_lock(assembly, below, file, bounds)
    elsewhere = [*around.whole, *around.files]
    return Plan(
        distribution=distribution,
        project=project,
        locals_=tuple(sorted({distribution, *package.names_built(around)})),
        projects=tuple(sorted({project, *package.list_positions(around, base)})),
        elsewhere=tuple(package.list_taken(around, asked.settings)),
        tree=assembly.finish(),
        locking=Locking(
            place=f"{below}{LOCK}",
            authors=file.with_name(f"{file.name}.lock") if lock else None,
            script=lock,
            told_by=None if told_by is None else told_by | {f"{below}pyproject.toml", *([lock] if lock else [])},
            outside=str(min(elsewhere)) if elsewhere and not lock else None,
        ),
        asked=asked,
    )


def _put_lock(assembly: Assembly, below: str, file: Path, bounds: Bounds) -> str | None:
    """Have the lock beside the file in a tree, and the file as it is beside it; the lock's name, None where there is none."""
    lock = file.with_name(f"{file.name}.lock")
    found, line = _find_beside(lock, file, bounds)
    assembly.leave_out([line] if line else [])
    if found is None:
        return None
    with authored.name_failure(file):
        assembly.put(f"{below}{file.name}", Piece(content=authored.read_bytes(file, authored.CODE)))
    assembly.put(f"{below}{lock.name}", Piece(origin=found))
    return f"{below}{lock.name}"


def _find_beside(each: Path, file: Path, bounds: Bounds) -> tuple[Path | None, str | None]:
    """The file to read for one beside the handler's, or in a package there; None where it is not taken, and perhaps a line about it."""
    directory = file.parent
    ways = [place for place in (each, *each.parents) if place != directory and place.is_relative_to(directory)]
    if any(is_planted(place, file) for place in ways):
        return None, f"Left out: {each}, which another user has put there: anybody may put files into the directory."
    return trees.follow(each, bounds)


def _put_snapshot(assembly: Assembly, position: str, file: Path, module: str, bounds: Bounds) -> None:
    """Have the package that holds the handler in a tree."""

    def may_be_taken(each: Path) -> bool:
        found, line = _find_beside(each, file.resolve(), bounds)
        assembly.leave_out([line] if line else [])
        return found is not None

    beside, directory = siblings.find(file, may_be_taken), file.resolve().parent
    manifest: dict[str, Any] = {"entry": module, "modules": {}}
    files = {"__init__.py": b""}
    for each in [siblings.Module(module, file, package=False), *(each for each in beside if each.name != module)]:
        name = "modules/" + each.name.replace(".", "/") + ("/__init__.py" if each.package else ".py")
        origin = file.name if each.name == module else str(each.origin.relative_to(directory))
        manifest["modules"][each.name] = {"file": name, "origin": origin, "package": each.package}
        files[name] = each.read()
    files[MANIFEST] = json.dumps(manifest, indent=1).encode()
    for name, content in files.items():
        assembly.put(f"{position}/{name}", Piece(content=content))


def _project(said: inline_metadata.Metadata, distribution: str, module: str) -> dict[str, Any]:
    uv = {**said.uv, "package": True, "build-backend": {"module-name": SNAPSHOT, "module-root": "src"}}
    for group in ("default-groups", "dev-dependencies", "workspace"):
        uv.pop(group, None)
    return {
        "project": {
            "name": distribution,
            "version": VERSION,
            "requires-python": said.requires_python or FLOOR,
            "dependencies": said.dependencies,
            "entry-points": {GROUP: {module: module}},
        },
        # uv builds this itself, without a download, where its own version is in bounds.
        "build-system": {"requires": [f"{UV_BUILD},<100"], "build-backend": "uv_build"},
        "tool": {"uv": uv},
    }


def _request(said: inline_metadata.Metadata, python: str | None) -> Request:
    requires = join_required([(said.requires_python, said.file)])
    if python or requires:
        return Request(requires, python)
    return Request(None, read_pinned(said.file.parent, said.file), str(said.file.parent / ".python-version"))
