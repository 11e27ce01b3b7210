"""What stands in a table that somebody else wrote, where it is of the kind that it should be."""

from __future__ import annotations

from typing import Any


def section(table: dict[str, Any], *path: str) -> dict[str, Any]:
    """A table in a table, empty where there is none."""
    for part in path:
        found = table.get(part)
        table = found if isinstance(found, dict) else {}
    return table


def list_of_text(value: object) -> list[str]:
    """The strings of a list; none where it is no list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
