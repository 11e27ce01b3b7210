"""What is needed one day, imported before: the Python below a daemon may be moved away, as an upgrade does it.

Nothing is imported any more by a daemon that serves.
"""

from __future__ import annotations

import codecs
import warnings  # noqa: F401 - for threads

CODECS = ("ascii", "latin-1", "unicode_escape")
"""What text is shown in. One that cannot be imported is unknown for good."""


def rehearse() -> None:
    """Import what is imported by use."""
    for name in CODECS:
        codecs.lookup(name)
