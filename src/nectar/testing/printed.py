"""What a handler's code prints in the process of its tests: kept, and printed all the same."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class Printed:
    """Stands in for both standard streams while the code runs. A log that took one of them at import may write to it later, too."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._streams = {name: _Stream(self._kept, name) for name in ("stdout", "stderr")}

    def __str__(self) -> str:
        return "".join([*self._kept, *(rest for stream in self._streams.values() for rest in [*stream.rests.values()])])

    def clear(self) -> None:
        self._kept.clear()
        for stream in self._streams.values():
            stream.rests.clear()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """What is printed meanwhile is kept."""
        before = {name: getattr(sys, name) for name in self._streams}
        for name, stream in self._streams.items():
            if before[name] is not stream:
                stream.below = before[name]
            setattr(sys, name, cast("TextIO", stream))
        try:
            yield
        finally:
            for name, stream in before.items():
                setattr(sys, name, stream)


class _Stream:
    """:ivar below: where it goes on to.
    :ivar rests: by thread, what it has printed of a line that is not whole: a line is printed in pieces, by several threads at once.
    """

    def __init__(self, kept: list[str], name: str) -> None:
        self._kept = kept
        self.below: TextIO = getattr(sys, name)
        self.rests: dict[int, str] = {}

    def write(self, text: str) -> int:
        thread = threading.get_ident()
        *whole, rest = (self.rests.pop(thread, "") + text).split("\n")
        self._kept += [f"{line}\n" for line in whole]
        if rest:
            self.rests[thread] = rest
        try:
            return self.below.write(text)
        except ValueError:  # what was below has been closed, as pytest does after each test
            return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not self.below.closed:
            self.below.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)
