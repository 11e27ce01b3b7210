"""What fails again and again at an alias: told of the alias as a whole, until it works once."""

from __future__ import annotations

OFTEN = 3
"""Failures in a row that are no chance."""


class Failures:
    """Things that are tried, each told apart by a word."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, str]] = {}

    def failed(self, what: str, text: str) -> None:
        """:param text: for a person."""
        self._failed[what] = (self._failed.get(what, (0, ""))[0] + 1, text)

    def worked(self, what: str) -> None:
        self._failed.pop(what, None)

    @property
    def often(self) -> str | None:
        """What failed often, and never worked in between."""
        return next((text for count, text in self._failed.values() if count >= OFTEN), None)
