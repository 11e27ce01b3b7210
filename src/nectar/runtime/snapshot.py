"""The modules of a single-file handler: code from the snapshot in the environment, names from the author's own tree.

A file's snapshot is a manifest and copies of the modules that the file imports. They are compiled under the author's paths, so
that ``__file__`` leads to the data beside the file, and a traceback names the line that the author knows.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec


class SnapshotLoader(Loader):
    """Loads one module from its copy."""

    def __init__(self, copy: Path, origin: str) -> None:
        self._copy = copy
        self._origin = origin

    def exec_module(self, module: types.ModuleType) -> None:
        exec(compile(self._copy.read_bytes(), self._origin, "exec", dont_inherit=True), module.__dict__)

    def get_source(self, name: str) -> str:
        """What ``linecache`` shows in a traceback where the author's file is gone."""
        return importlib.util.decode_source(self._copy.read_bytes())


class SnapshotFinder(MetaPathFinder):
    """Finds the modules of a manifest; put last, behind the standard library's and the environment's own."""

    def __init__(self, manifest: Path) -> None:
        self._directory = manifest.parent
        self._modules: dict[str, dict[str, object]] = json.loads(manifest.read_bytes())["modules"]

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        module = self._modules.get(fullname)
        if module is None:
            return None
        origin = str(module["origin"])
        return importlib.util.spec_from_file_location(
            fullname,
            origin,
            loader=SnapshotLoader(self._directory / str(module["file"]), origin),
            submodule_search_locations=[str(Path(origin).parent)] if module["package"] else None,
        )


def install(manifest: str) -> None:
    """Make the modules of a manifest importable."""
    sys.meta_path.append(SnapshotFinder(Path(manifest)))
