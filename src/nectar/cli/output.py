"""The only module that prints: data on standard output, talk on standard error.

Whatever came from a name, a path, a log or a handler is shown with its control characters escaped, so that none of it can
speak to the terminal.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, TextIO

from nectar.cli import streams

if TYPE_CHECKING:
    from nectar.cli.progress import Progress
    from nectar.errors import NectarError

SCHEMA = 1

Color = Literal["auto", "always", "never"]

_CODES = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


class Output:
    """Where everything goes that a person or a script reads."""

    def __init__(self) -> None:
        self.color: Color = "auto"
        self.quiet = False
        self.verbose = False
        self.as_json: bool | None = None  # it is not known yet
        self._sink = streams.install()
        self._progress: Progress | None = None
        self._talked: set[str] = set()

    @property
    def is_read(self) -> bool:
        """Whether there is still somebody for what goes to standard output: what prints for its own sake may end where there is not."""
        return self._sink.has_reader()

    @property
    def columns(self) -> int | None:
        """How many standard output has, where that is a terminal."""
        return streams.count_columns(1)

    @property
    def failure(self) -> OSError | None:
        """Why data could not be written, a reader that went away aside."""
        lost = self._sink.lost
        return None if lost is None or isinstance(lost, BrokenPipeError) else lost

    def set(self, *, color: Color | None = None, quiet: bool | None = None, verbose: bool | None = None) -> None:
        """Do as the command line says; what it does not say stays as it is.

        :param color: ``"auto"`` colours what goes to a terminal, unless ``NO_COLOR`` is set; the text is the same without.
        :param quiet: leave the talk out; data, warnings and errors stay.
        :param verbose: more talk.
        """
        self.color = color or self.color
        self.quiet = self.quiet if quiet is None else quiet
        self.verbose = self.verbose if verbose is None else verbose
        if self._progress is not None:
            self._progress.wanted = not self.quiet

    def show_waits(self, *, shown: bool = True) -> None:
        """Whether a terminal is to show what is waited for; at first it does not."""
        if self._progress is not None:
            self._progress.wanted = shown
        elif shown and not self.quiet and sys.stderr.isatty():
            from nectar.cli.progress import Progress
            from nectar.manage import waits

            self._progress = Progress(lambda line: self._shape(sys.stderr, line))
            waits.show = self._progress.wait

    def data(self, text: str = "", *, style: str | None = None) -> None:
        """What was asked for: one line or more on standard output."""
        self._line(sys.stdout, text, style)

    def json(self, fields: dict[str, Any]) -> None:
        """One object, with the schema's number, on standard output."""
        self._print(sys.stdout, json.dumps({"schema": SCHEMA, **fields}))

    def talk(self, text: str, *, style: str | None = "dim") -> None:
        """What a person at a terminal likes to know."""
        if not self.quiet:
            self._talked.update(text.splitlines())
            self._line(sys.stderr, text, style)

    def details(self, text: str) -> None:
        """Talk that only ``-v`` shows."""
        if self.verbose:
            self.talk(text)

    def warn(self, text: str) -> None:
        self._line(sys.stderr, f"⚠️  {text}", "yellow")

    def error(self, error: NectarError, *, as_json: bool = False) -> None:
        """An error in at most three lines, after somebody else's words where it has any, and they were not shown as they came."""
        if as_json:
            self.json({"error": make_error_fields(error)})
            return
        if error.detail and not self._talked.issuperset(line for line in error.detail.splitlines() if line):
            self._line(sys.stderr, error.detail.rstrip("\n"), None)
        self._line(sys.stderr, f"❌ {join_lines(error.message)}", "red")
        if error.where:
            self._line(sys.stderr, f"   {join_lines(error.where)}", None)
        if error.hint:
            # One line, except where it is lines to copy.
            self._line(sys.stderr, f"   {error.hint}".rstrip().replace("\n", "\n   "), None)

    def _line(self, stream: TextIO, text: str, style: str | None) -> None:
        shown = self._shape(stream, text)
        if style is not None and self._colored(stream):
            shown = f"\x1b[{_CODES[style]}m{shown}\x1b[0m"
        self._print(stream, shown)

    def _print(self, stream: TextIO, line: str) -> None:
        with nullcontext() if self._progress is None else self._progress.aside():
            stream.write(f"{line}\n")  # at once, or those of several commands would be mixed in a file that they share
            stream.flush()

    def _shape(self, stream: TextIO, text: str) -> str:
        """The text as a stream can take it."""
        shown = escape(text)
        if shown.isascii() or not streams.is_ascii(stream):
            return shown
        return shown.translate(_IN_ASCII)

    def _colored(self, stream: TextIO) -> bool:
        if self.color == "auto":
            return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return self.color == "always"


def make_error_fields(error: NectarError) -> dict[str, str | None]:
    """An error, for ``--json``."""
    fields = {"kind": error.kind, "message": error.message, "hint": error.hint}
    return fields | {name: value for name in ("where", "detail") if (value := getattr(error, name)) is not None}


def escape(text: str) -> str:
    """The text with its control characters as backslash escapes; line ends, tabs and everything that can be seen stay."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" or char in _JOINERS else _escape(char) for char in text)


def join_lines(text: str) -> str:
    return " ".join(text.split())


_BLOCKS = "_.:-=+*#%"
# Where no more than ASCII can be shown. What stands for a picture is as wide as the words around it expect.
_IN_ASCII = str.maketrans(
    {
        "✅": "[ok]",
        "❌": "[error]",
        "⚠": "[warning]",
        "🟢": "+",
        "🟡": "~",
        "🔴": "!",
        "⚫": "-",
        "🧪": "*",
        "📝": "*",
        "🔄": "*",
        "⏱": "*",
        "👀": "*",
        "⏳": "...",
        "\ufe0f": "",
        "…": "...",
        "═": "=",
        "║": "|",
        **dict.fromkeys("╔╗╚╝", "+"),
        **dict(zip("·▁▂▃▄▅▆▇█", _BLOCKS, strict=True)),
    }
)

# Not printable by Python's account, and part of how an emoji or a script is written.
_JOINERS = "\u200c\u200d\ufe0f"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
