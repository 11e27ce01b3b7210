"""The modules of a single-file handler: code from the snapshot in the environment, names from the author's own tree.

A file's snapshot is a manifest and copies of the modules that the file imports. They are compiled under the author's paths, so
that ``__file__`` leads to the data beside the file, and a traceback names the line that the author knows.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from importlib.machinery import PathFinder

from nectar.runtime.origins import find_origins

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from importlib.abc import Loader, MetaPathFinder
    from importlib.machinery import ModuleSpec
    from typing import Any
else:  # importlib.abc imports pathlib, tempfile and more, which takes 1.3 MB of each worker

    class Loader: ...

    class MetaPathFinder: ...


class SnapshotLoader(Loader):
    """Loads one module from its copy.

    :ivar path: of the author's file.
    """

    def __init__(self, copy: str, origin: str) -> None:
        self._copy = copy
        self.path = origin

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        """None, for a module like any other."""
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        code = compile(_read(self._copy), self.path, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - this is how a module is loaded

    def get_data(self, path: str) -> bytes:
        """The content of a file of the author's, as :mod:`pkgutil` asks for it."""
        return _read(path)

    def get_resource_reader(self, name: str) -> object:
        """What :mod:`importlib.resources` reads the author's files with, that lie beside the module."""
        from importlib.readers import FileReader

        reader: Any = FileReader  # of what loads a file; it is asked for its path, and nothing else
        return reader(self)

    def get_source(self, name: str) -> str:
        """What ``linecache`` shows in a traceback where the author's file is gone."""
        return importlib.util.decode_source(_read(self._copy))


class SnapshotFinder(MetaPathFinder):
    """Finds modules of a manifest.

    :param directory: what the files in it are relative to.
    :param modules: by name: ``file``, ``origin`` (the author's path) and ``package`` (whether it is one).
    """

    def __init__(self, directory: str, modules: dict[str, dict[str, object]]) -> None:
        self._directory = directory
        self._modules = modules

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
            loader=SnapshotLoader(os.path.join(self._directory, str(module["file"])), origin),
            submodule_search_locations=[os.path.dirname(origin)] if module["package"] else None,
        )


class SecondName(MetaPathFinder, Loader):
    """Finds a module that has another name: by that of its file, as the modules beside it import it."""

    def __init__(self, names: set[str], module: str) -> None:
        self._names = names
        self._module = module
        self._spec: ModuleSpec | None = None

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname in self._names else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(self._module)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec  # which the import system has replaced


def install(manifest: str, directory: str, name: str | None = None) -> dict[str, str]:
    """Make the modules of a manifest importable: the handler's own before all others, its siblings behind all others.

    So the file that was asked for is the one that is loaded, whatever its name; and a ``queue.py`` beside it is in nobody's way.
    Nor is the file itself: where the environment has a module of its name, as for a ``requests.py`` that needs requests, it gets
    another.

    :param directory: the handler's source directory.
    :param name: the one that it has got in the process that started this one.
    :returns: the module of the entry point, to the name that it has got.
    """
    fields = json.loads(_read(manifest))
    copies = os.path.dirname(manifest)
    entry, origins = fields["entry"], find_origins(fields, directory)
    modules = {each: {**module, "origin": origins[each]} for each, module in fields["modules"].items()}
    name = name or _free(entry, modules)
    stem = os.path.splitext(os.path.basename(origins[entry]))[0]
    siblings = {each: module for each, module in modules.items() if each != entry}
    sys.meta_path.insert(0, SnapshotFinder(copies, {name: modules[entry]}))
    sys.meta_path.append(SnapshotFinder(copies, siblings))
    sys.meta_path.append(SecondName({entry, stem} - {name}, name))
    # For processes that the code starts with multiprocessing, see start.py.
    os.environ["NECTAR_SNAPSHOT"] = json.dumps([manifest, directory, name])
    return {entry: name}


def _free(entry: str, modules: dict[str, dict[str, object]]) -> str:
    """A name that hides no module of the environment's. Those of the standard library are known when the snapshot is taken."""
    places = [place for place in sys.path if place != os.path.dirname(os.__file__)]
    name = entry
    while (name != entry and name in modules) or PathFinder.find_spec(name, places) is not None:
        name = f"{name}_file"
    return name


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
