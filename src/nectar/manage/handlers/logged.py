"""What is in a handler's log: lines as they stand in the text, or events.

Events are read from the JSON. What a nectar wrote that had none is read from the text.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from nectar.events import ERROR, FURTHER, INFO, LEVELS, NONE, WARNING, Event
from nectar.manage.handlers.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nectar.home import Home

_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d"
_ALONE = re.compile(rf"{_STAMP}\d\d ")
"""Where no JSON was written beside it, a line's time has no colon in its zone."""
_LINE = re.compile(rf"{_STAMP}:?\d\d (\S+) +(.*)", re.DOTALL)
_WHOSE = re.compile(r"(\S+) (\S+): ")
_ANSWER = re.compile(r"(\S+) (\S+): (?=(?:success|error|timeout) \()")
"""In such text, only the line of an answer has alias and id in a fixed place."""
_FAILED = re.compile(r"(?:error|timeout) \((?:[\d.]+ s|not run)\): ")


class Asked(NamedTuple):
    """Which events are wanted.

    :ivar since: Unix seconds, and so is ``until``.
    :ivar level: the least that matters.
    :ivar computation: an id, as a log shows it.
    """

    since: float | None = None
    until: float | None = None
    level: str | None = None
    computation: str | None = None

    def takes(self, event: Event) -> bool:
        if self.since is not None and event.time < self.since:
            return False
        if self.until is not None and event.time > self.until:
            return False
        if self.level is not None and _rank(event.level) < _rank(self.level):
            return False
        return self.computation in (None, event.computation)


class Lines:
    """The text, line by line, each with its time: Unix seconds, and those of the line before it where it has none."""

    def __init__(self, home: Home, name: str) -> None:
        self._tail = Tail(home.log(name))
        self._time = 0.0

    def history(self, last: int | None, *, whole: bool) -> Iterator[tuple[float, str]]:
        """What there is.

        :param last: at most so many.
        :param whole: leave what has only begun for later.
        """
        return self._timed(self._tail.history(last, whole=whole))

    def more(self) -> Iterator[tuple[float, str]]:
        """What has come since."""
        return self._timed(self._tail.more())

    def close(self) -> None:
        self._tail.close()

    def _timed(self, lines: Iterable[str]) -> Iterator[tuple[float, str]]:
        for line in lines:
            self._time = _read_time(line) or self._time
            yield self._time, line


class Events:
    """Those events that are asked for, in the same way."""

    def __init__(self, home: Home, name: str, asked: Asked) -> None:
        self._text = Tail(home.log(name))
        self._json = Tail(home.events(name))
        self._asked = asked

    def history(self, last: int | None, *, whole: bool) -> Iterator[tuple[float, Event]]:
        told = [*_read_all(self._json.history(None, whole=True))]
        # Where the JSON was removed, the text tells of what was before it.
        text = self._text.history(None, whole=whole)
        alone = _read_text(text, until=told[0].time if told else float("inf"))
        return iter(deque(self._chosen(heapq.merge(alone, told, key=_when)), maxlen=last))

    def more(self) -> Iterator[tuple[float, Event]]:
        alone = _read_text(self._text.more(), until=0.0)
        return self._chosen(heapq.merge(alone, _read_all(self._json.more()), key=_when))

    def close(self) -> None:
        self._text.close()
        self._json.close()

    def _chosen(self, events: Iterable[Event]) -> Iterator[tuple[float, Event]]:
        return ((event.time, event) for event in events if self._asked.takes(event))


def _read_all(lines: Iterable[str]) -> Iterator[Event]:
    """What lines of JSON say; what is no event, half of one, say, is passed over."""
    for line in lines:
        try:
            fields = json.loads(line)
            when, level, text = float(fields["time"]), str(fields["level"]), str(fields["text"])
            yield Event(when, level, str(fields["alias"] or ""), str(fields["computation"] or ""), text)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def _read_text(lines: Iterable[str], *, until: float) -> Iterator[Event]:
    """What lines of text say that are not beside JSON, or are older than what that begins with.

    :param until: when that was, in Unix seconds.
    """
    event: Event | None = None
    for line in lines:
        found = _read_line(line, 0.0 if event is None else event.time)
        further = found.text.startswith(FURTHER)
        if further and event is not None and event.level == found.level:
            event = event._replace(text=f"{event.text}\n{found.text.removeprefix(FURTHER)}")
            continue
        if event is not None:
            yield _as_today(event)
        event = found if found.time < until or _ALONE.match(line) else None
    if event is not None:
        yield _as_today(event)


def _as_today(event: Event) -> Event:
    """Where text alone was written, answers that are none were warnings."""
    return event._replace(level=ERROR) if event.level == WARNING and _FAILED.match(event.text) else event


def _read_line(line: str, before: float) -> Event:
    """:param before: the time of the line before it, which it has where it names none."""
    matched = _LINE.match(line)
    when = None if matched is None else _read_time(line)
    if matched is None or when is None:
        return Event(before, INFO, "", "", line)
    level, rest = matched.groups()
    whose = (_ANSWER if _ALONE.match(line) else _WHOSE).match(rest)
    if whose is None:
        return Event(when, level, "", "", rest)
    alias, computation = ("" if each == NONE else each for each in whose.groups())
    return Event(when, level, alias, computation, rest[whose.end() :])


def _read_time(line: str) -> float | None:
    """Unix seconds of a line of text; None where it does not begin with a time."""
    try:
        return datetime.fromisoformat(line.partition(" ")[0]).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _when(event: Event) -> float:
    return event.time


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)
