"""What goes wrong at an alias: logged, told of the alias where it goes wrong again and again, and a reason to wait where it is for all."""

from __future__ import annotations

import errno

from nectar.events import as_word

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Generator

    from nectar.runtime.daemon.log import Seldom
    from nectar.runtime.daemon.loop import Loop

OFTEN = 3
"""Failures in a row that are no chance."""
BLOCKED = 1.0
"""Seconds in which nothing is tried after something failed that would fail for each question."""
OF_ALL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What goes wrong for any question and not for one."""


class Failures:
    """Those of things that are tried at one alias, each told apart by a word."""

    def __init__(self, alias: str, loop: Loop, seldom: Seldom) -> None:
        self._alias = alias
        self._loop = loop
        self._seldom = seldom
        self._failed: dict[str, tuple[int, str]] = {}
        self._until = 0.0

    def failed(self, what: str, error: OSError, told: str | None = None) -> None:
        """:param told: to a person, where that is not that the directory cannot be ``what`` now."""
        text = f"{told or f'the directory cannot be {what} now'}: {error.strerror}"
        self._failed[what] = (self._failed.get(what, (0, ""))[0] + 1, text)
        self._seldom.warn(f"{self._alias} {what} {error.errno}", text, alias=as_word(self._alias))

    def worked(self, what: str) -> None:
        self._failed.pop(what, None)

    @property
    def often(self) -> str | None:
        """What failed often, and never worked in between."""
        return next((text for count, text in self._failed.values() if count >= OFTEN), None)

    def block(self) -> None:
        """Have nothing tried for a while."""
        self._until = self._loop.now() + BLOCKED

    @property
    def blocked(self) -> bool:
        return self._loop.now() < self._until

    def guarded(self, what: str, scan: Generator[None, None, None]) -> Generator[None, None, None]:
        """A look at the directory of which nothing comes out: it fails, or has worked."""
        try:
            yield from scan
        except OSError as error:
            self.failed(what, error)
            self.block()
        except Exception as error:
            self._loop.fault(error)
        else:
            self.worked(what)
