"""What is shown again and again in one place of a terminal, which is afterwards as it was."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import time
from typing import TYPE_CHECKING

from nectar.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from nectar.cli.output import Output

EACH = 1.0
"""Seconds between two times."""
# As in ECMA-48 and xterm's control sequences: another screen, no cursor, and lines that are too long are cut; then all of it back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST = "\x1b[H", "\x1b[K", "\x1b[J"


def redraw(output: Output, show: Callable[[], None]) -> None:
    """Show something once a second, as much of it as the terminal has room for, until Ctrl-C or until nobody reads it.

    :param show: prints it.
    :raises UsageError: standard output is no terminal.
    """
    terminal = sys.stdout
    if not terminal.isatty():
        raise UsageError("--watch needs a terminal.", hint="Leave it out, or use --json for a program.")
    output.show_waits(shown=False)
    with _another_screen(terminal):
        while output.is_read:
            shown = _Shown(io.BytesIO(), terminal.encoding, terminal.errors, write_through=True)
            with contextlib.redirect_stdout(shown):
                show()
            rows = shutil.get_terminal_size().lines  # each time, because it may be another by now
            shown.seek(0)
            lines = shown.read().splitlines()[:rows]
            terminal.write(_HOME + "\r\n".join(line + _REST_OF_LINE for line in lines) + _REST)
            time.sleep(EACH)


class _Shown(io.TextIOWrapper):
    """What is printed for a terminal, in its encoding, and in colour where that has it."""

    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def _another_screen(terminal: TextIO) -> Iterator[None]:
    print(_ENTER, end="", file=terminal, flush=True)
    try:
        yield
    finally:
        print(_LEAVE, end="", file=terminal, flush=True)
