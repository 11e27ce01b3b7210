"""The command line: parse, make one call into :mod:`nectar.manage`, show what came of it."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """The ``nectar`` command."""
    from nectar import inherited

    inherited.open_streams()
    inherited.keep_owners_rights()
    # With SIGCHLD ignored no exit code is known. What else is ignored (by nohup, in the background) is somebody's wish.
    inherited.settle_signals({signal.SIGCHLD})
    from nectar.cli.boundary import run

    sys.exit(run(sys.argv[1:]))
