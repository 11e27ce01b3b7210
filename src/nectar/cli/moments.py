"""Moments on the command line: ``10m`` ago, or a date with its time."""

from __future__ import annotations

import re
import time
from datetime import datetime

from nectar.errors import UsageError

_AGO = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_SECONDS = (86400, 3600, 60, 1)


def read_moment(text: str) -> float:
    """Unix seconds of a moment, as a person writes it: ``90s``, ``10m``, ``1h30m`` or ``2d`` ago; or ``2026-11-25 10:12``, of this
    machine's time where it says no other.

    :raises UsageError: it is none.
    """
    try:
        ago = _AGO.fullmatch(text)
        if ago is not None:
            return time.time() - sum(int(count or 0) * size for count, size in zip(ago.groups(), _SECONDS, strict=True))
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r} is no moment.", hint="How long ago, as in 90s, 10m, 1h30m or 2d; or a date with its time: 2026-11-25T10:12."
        ) from None
