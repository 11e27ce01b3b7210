"""The command line: parse, make one call into :mod:`nectar.manage`, show what came of it."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
_OVERWRITTEN = """\
Another distribution was installed over nectar's files: {file} is not ours.
   Another project has the name nectar on the index; this one is bee-hive-nectar.
   {python} -m pip uninstall --yes nectar bee-hive-nectar, and install bee-hive-nectar again
"""


def main() -> NoReturn:
    """The ``nectar`` command, and the end of its process.

    From here on an interrupt ends it with 130 and without a word, also while all that is needed is imported, and at the very end.
    """
    try:
        import gc
        import signal

        # What is imported stays: to look through it for garbage, until the verb is imported, takes a tenth of `view`.
        gc.disable()
        ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
            signal.signal(signal.SIGINT, _end_at_once)  # in an import an exception might get lost
        from nectar import inherited

        inherited.open_streams()
        _require_our_own()
        inherited.keep_owners_rights()
        # With SIGCHLD ignored no exit code is known. What else is ignored (by nohup, in the background) is somebody's wish.
        inherited.settle_signals({signal.SIGCHLD})
        from nectar.cli.boundary import run

        try:
            code = run(sys.argv[1:])
        finally:
            for number in ends:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    signal.signal(number, _end_at_once)
    except KeyboardInterrupt:
        code = INTERRUPTED
    # All is said and written. What an interpreter does at its end would take another tenth of `view`, and is good for nothing here.
    import os

    os._exit(code)


def _require_our_own() -> None:
    """Say so where another distribution called nectar has replaced this package's first file, and end: nothing works then."""
    import nectar

    if "hookimpl" not in getattr(nectar, "_HOMES", ()):
        sys.stderr.write(_OVERWRITTEN.format(file=nectar.__file__, python=sys.executable))
        sys.exit(1)


def _end_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    """Before anything was begun, and when all is done."""
    import os

    os._exit(128 + number)
