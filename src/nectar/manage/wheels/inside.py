"""What runs behind the wall for a build, on the handler's Python, with nothing of nectar: one step, and what came of it in a file."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from typing import Any

PROCESSES = 4096
"""As many as a build may have, where its user is not root."""


def unpack(order: dict[str, Any]) -> dict[str, Any]:
    """Unpack an sdist into the directory that we are in, and say which directory it holds."""
    if order["archive"].endswith(".zip"):
        import zipfile

        with zipfile.ZipFile(order["archive"]) as archive:
            archive.extractall()
    else:
        import tarfile

        with tarfile.open(order["archive"]) as archive:
            # The first 3.11 have no filter, which here keeps but accidents away: behind a wall, nothing else can be written.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall()  # noqa: S202
    (top,) = [each for each in os.listdir() if os.path.isdir(each)]
    return {"top": top}


def look(_order: dict[str, Any]) -> dict[str, Any]:
    """Say what the project in the directory that we are in says."""
    try:
        with open("pyproject.toml", encoding="utf-8") as stream:
            return {"pyproject": stream.read()}
    except FileNotFoundError:
        return {}


def require(order: dict[str, Any]) -> dict[str, Any]:
    """Ask a backend what it requires beside what the project says."""
    hook = getattr(_backend(order), "get_requires_for_build_wheel", None)
    return {"requires": hook(order["config"]) if hook else []}


def build(order: dict[str, Any]) -> dict[str, Any]:
    """Have a backend build a wheel."""
    return {"wheel": _backend(order).build_wheel(order["out"], order["config"])}


def _backend(order: dict[str, Any]) -> Any:
    sys.path[:0] = [os.path.abspath(each) for each in order["path"]]
    module, _, names = order["backend"].partition(":")
    found = importlib.import_module(module)
    for name in filter(None, names.split(".")):
        found = getattr(found, name)
    return found


if __name__ == "__main__":
    step, told = sys.argv[1], json.loads(sys.argv[2])
    os.dup2(2, 1)  # whatever is printed is talk
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    few = PROCESSES if most == resource.RLIM_INFINITY else min(PROCESSES, most)
    resource.setrlimit(resource.RLIMIT_NPROC, (few, few))
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    said = {"unpack": unpack, "look": look, "require": require, "build": build}[step](told)
    with open(told["result"], "w", encoding="utf-8") as result:
        json.dump(said, result)
