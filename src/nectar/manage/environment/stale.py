"""Whether a backend installed something else than the source that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.manage.environment.installed import find_site_packages
from nectar.manage.files import authored

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from nectar.manage.environment.installed import Distribution


def find_modules(venv: Path, tree: Path, found: list[Distribution], names: Collection[str]) -> list[str]:
    """The installed modules of some distributions that differ from every file of that name in the tree.

    A backend may change a module on its way, so that this is a reason to say so, and no proof.
    """
    by_name: dict[str, list[Path]] = {}
    for file in tree.rglob("*.py"):
        if "build" not in file.relative_to(tree).parts:  # where an old copy would be
            by_name.setdefault(file.name, []).append(file)
    packages = find_site_packages(venv)
    paths = [path for each in found if each.name in names for path, _, _ in each.files if path.endswith(".py")]
    return [path for path in paths if _differs(packages / path, path, by_name)]


def _differs(file: Path, path: str, by_name: dict[str, list[Path]]) -> bool:
    candidates = [each for each in by_name.get(file.name, []) if str(each).endswith("/" + path)]
    content = _read(file)
    return bool(candidates) and all(_read(each) != content for each in candidates)


def _read(file: Path) -> bytes:
    try:
        return authored.read_bytes(file, authored.CODE)
    except OSError:  # nothing that could be compared
        return b""
