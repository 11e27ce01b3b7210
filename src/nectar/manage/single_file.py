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

from nectar.manage import metadata, siblings
from nectar.manage.plan import Piece, Plan
from nectar.manage.project import GROUP, normalised
from nectar.manage.python import Request, pinned

SNAPSHOT = "_nectar_file"
"""The package in the environment that holds the files."""
MANIFEST = "manifest.json"
VERSION = "0"

read_metadata = metadata.read


def module_name(file: Path) -> str:
    """The name that the file's module gets: its stem, made one that can be imported and that is nobody else's."""
    name = re.sub(r"\W", "_", file.stem)
    name = f"_{name}" if name[:1].isdigit() else name
    return f"{name}_file" if not name.isidentifier() or name in sys.stdlib_module_names or name in ("nectar", SNAPSHOT) else name


def plan(file: Path, *, python: str | None) -> Plan:
    """What the environment of a single file is made of.

    :param python: what ``--python`` asked for.
    """
    said = read_metadata(file)
    module = module_name(file)
    distribution = f"{normalised(re.sub('[^A-Za-z0-9]+', '-', file.stem).strip('-')) or 'handler'}-file"
    made = Plan(distribution=distribution, locals_=[distribution], python=_request(said, python), resolved_by=["pyproject.toml"])
    made.pieces["pyproject.toml"] = Piece(content=tomli_w.dumps(_project(said, distribution, module)).encode())
    source = f"src/{SNAPSHOT}"
    manifest: dict[str, Any] = {"entry": module, "modules": {}}
    modules = [siblings.Module(module, file, package=False), *(each for each in siblings.find(file) if each.name != module)]
    for each in modules:
        inside = "modules/" + each.name.replace(".", "/") + ("/__init__.py" if each.package else ".py")
        manifest["modules"][each.name] = {"file": inside, "origin": str(each.origin), "package": each.package}
        made.pieces[f"{source}/{inside}"] = Piece(content=each.read())
    made.pieces[f"{source}/__init__.py"] = Piece(content=b"")
    made.pieces[f"{source}/{MANIFEST}"] = Piece(content=json.dumps(manifest, indent=1).encode())
    return made


def _project(said: metadata.Metadata, distribution: str, module: str) -> dict[str, Any]:
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
        # No upper bound: uv builds this itself, without a download, where its own version is in bounds.
        "build-system": {"requires": ["uv_build>=0.9"], "build-backend": "uv_build"},
        "tool": {"uv": uv},
    }


def _request(said: metadata.Metadata, python: str | None) -> Request:
    if python:
        return Request(said.requires_python, python)
    if said.requires_python:
        return Request(said.requires_python)
    return Request(None, pinned(said.file.parent), str(said.file.parent / ".python-version"))
