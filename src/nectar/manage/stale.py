"""Whether uv installed an older build of a project than the source that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.manage.installed import distributions, site_packages

if TYPE_CHECKING:
    from pathlib import Path


def installed(venv: Path, tree: Path, names: list[str]) -> list[str]:
    """The installed modules of some distributions that differ from every file of that name in the tree.

    A backend may change a module on its way, so that this is a reason to build again without caches, and no proof.
    """
    by_name: dict[str, list[Path]] = {}
    for file in tree.rglob("*.py"):
        by_name.setdefault(file.name, []).append(file)
    packages = site_packages(venv)
    found = []
    for each in distributions(venv):
        for path, _, _ in each.files if each.name in names else []:
            candidates = [file for file in by_name.get(path.rsplit("/", 1)[-1], []) if str(file).endswith("/" + path)]
            if candidates and path.endswith(".py") and not any(_same(packages / path, file) for file in candidates):
                found.append(path)
    return found


def _same(one: Path, other: Path) -> bool:
    try:
        return one.read_bytes() == other.read_bytes()
    except OSError:
        return False
