"""Which computation it is that runs here: what a log line wants to say, wherever in the author's code it is written."""

from __future__ import annotations

from contextvars import ContextVar

comp_id: ContextVar[str] = ContextVar("nectar.comp_id")
"""The id of the computation that this thread or task works on; a LookupError where it works on none."""
ends: ContextVar[float | None] = ContextVar("nectar.ends", default=None)
"""Monotonic seconds at which its deadline is over, or None for none: until then, and a moment longer, an engine may run a part of it."""
