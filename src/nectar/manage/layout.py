"""What lies above a build's tree, so that uv looks no further up."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

_PROJECTS_OWN = frozenset(
    {"workspace", "sources", "dev-dependencies", "default-groups", "dependency-groups", "package", "managed", "conflicts", "build-backend"},
)
_PATHS = ("find-links",)


def fence(directory: Path, configured_above: Path | None) -> None:
    """Put an empty workspace above the tree, and in it the settings that were above the project.

    :param configured_above: a ``uv.toml``, or a ``pyproject.toml`` with ``[tool.uv]``, or None.
    """
    (directory / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n", encoding="utf-8")
    if configured_above is None:
        return
    table = tomllib.loads(configured_above.read_text(encoding="utf-8"))
    if configured_above.name == "pyproject.toml":
        table = {name: value for name, value in table.get("tool", {}).get("uv", {}).items() if name not in _PROJECTS_OWN}
    (directory / "uv.toml").write_bytes(tomli_w.dumps(_absolute(table, configured_above.parent)).encode())


def _absolute(table: dict[str, Any], base: Path) -> dict[str, Any]:
    """The settings with their relative paths made absolute: they stay where they were, and the file does not."""
    changed = dict(table)
    for name in _PATHS:
        if isinstance(changed.get(name), list):
            changed[name] = [_place(item, base) for item in changed[name]]
    for name in ("index-url",):
        if isinstance(changed.get(name), str):
            changed[name] = _place(changed[name], base)
    if isinstance(changed.get("extra-index-url"), list):
        changed["extra-index-url"] = [_place(item, base) for item in changed["extra-index-url"]]
    if isinstance(changed.get("index"), list):
        changed["index"] = [{**index, "url": _place(index["url"], base)} if "url" in index else index for index in changed["index"]]
    return changed


def _place(url: str, base: Path) -> str:
    return url if "://" in url or url.startswith("/") else str((base / url).resolve())
