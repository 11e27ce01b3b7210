"""The command line: parse, make one call into :mod:`nectar.manage`, show what came of it."""

from __future__ import annotations

import sys


def main() -> None:
    """The ``nectar`` command."""
    from nectar.cli.boundary import run

    sys.exit(run(sys.argv[1:]))
