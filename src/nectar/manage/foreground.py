"""``launch --foreground``: a handler that lives for as long as the command that launched it, which shows its log."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from nectar import namelock, ownership
from nectar.errors import ConflictError, NectarError, NotFoundError
from nectar.manage.handlers import handlers, registry, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from nectar.home import Home


def count_lines(home: Home, name: str) -> int:
    """How many lines its log has now, for :func:`follow`."""
    try:
        return ownership.read(home.log(name)).count(b"\n")
    except FileNotFoundError:
        return 0


@contextmanager
def stop_after(home: Home, name: str, *, report: Callable[[str], None]) -> Iterator[None]:
    """Stop a handler when the block ends, however that comes."""
    try:
        yield
    finally:
        with suppress(ConflictError, NotFoundError):  # another command has done it
            handlers.stop(home, name, report=report)


def follow(home: Home, name: str, *, seen: int, wanted: Callable[[], bool]) -> Generator[str]:
    """The lines of a handler's log, until it has ended.

    :param seen: lines that are older.
    :param wanted: whether somebody reads them.
    :raises NectarError: it ended without a stop.
    """
    from nectar.manage.handlers import logs  # each launch imports this module, and few show a log

    lives = True

    def goes_on() -> bool:
        nonlocal lives
        before, lives = lives, _lives(home, name)
        return wanted() and before  # its last lines are read once it has ended

    now = count_lines(home, name)
    lines = logs.read_lines(home, [name], last=now - seen if now >= seen else now, follow=True, wanted=goes_on)
    yield from (line for _, line in lines)
    record = registry.read(home).get(name)
    if not lives and record is not None and record.desired == "running":
        raise NectarError(f"The handler {name!r} ended without a stop.", where=str(home.log(name)))


def _lives(home: Home, name: str) -> bool:
    """Whether it runs, or another command has it run again."""
    return namelock.is_running(home, name) or turns.is_being_started(home, name) or turns.is_taken(home, name)
