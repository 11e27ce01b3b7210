"""Whether a directory is to be listed again."""

from __future__ import annotations

REGARDLESS = 30.0
"""Seconds after which a directory is listed though nothing seems to have changed."""
TELLING = 2.0
"""Seconds after a change in which the directory's time cannot tell of another one."""


class Changes:
    """When a directory was seen to change, and when it was listed: each by the directory's time and in monotonic seconds."""

    def __init__(self) -> None:
        self._seen = (0, 0.0)
        self._listed = (0, 0.0)

    def listed(self, changed: int, now: float) -> None:
        """:param changed: the directory's time before it was listed."""
        self._listed = (changed, now)

    def due(self, changed: int, now: float) -> bool:
        """:param changed: the directory's time."""
        if changed != self._seen[0]:
            self._seen = (changed, now)
        # Its time stands still within one tick of the file system's clock, so that a change just after the last look may be hidden.
        return changed != self._listed[0] or now - self._seen[1] < TELLING or now - self._listed[1] > REGARDLESS
