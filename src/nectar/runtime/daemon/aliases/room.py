"""How many of its descriptors a daemon gives to aliases: some are kept for what it does for all of them."""

from __future__ import annotations

import os
import resource

from nectar.spool.place import SpoolUnusableError

KEPT = 128
"""Descriptors that no alias gets: for new workers, clients of the control socket, the log and the file that is just read."""
PART = 4
"""Where there are few, one of so many is kept."""


def require_room() -> None:
    """:raises SpoolUnusableError: what is left of this process's descriptors is needed for more than another alias."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if most == resource.RLIM_INFINITY:
        return
    try:
        # The lowest number that is free: an alias gets that, and keeps it. All below are in use.
        lowest = os.dup(0)
    except OSError:
        lowest = most
    else:
        os.close(lowest)
    if lowest >= most - min(KEPT, most // PART):
        raise SpoolUnusableError(
            f"there is no room for it: this daemon may have {most} files open, two for each alias (ulimit -Hn where it is started)"
        )
