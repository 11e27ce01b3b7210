"""What became of a handler's questions of late, minute by minute: for who looks at it, and for the daemon after this one.

On disk it is one JSON object, which a daemon writes once a minute and at its end: ``schema``; ``ended``, whether that was in order;
``deaths``, Unix seconds of the last ends that were not, each as the daemon after it could tell; ``died``, how many there were; and ``minutes``, of each in which something
was answered or waited a list: Unix minutes; how many answers of each status in :data:`STATUSES`; the most that waited; and, as pairs
of an index into :data:`BOUNDS` and a count, how many were answered within each of these.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections import deque

from nectar.frozen import NamedTuple
from nectar.regular import read_regular

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from nectar.api.computation import Status

SCHEMA = 1
STATUSES: tuple[Status, ...] = ("success", "error", "timeout")
BOUNDS = tuple(base * 10.0**power for power in range(-3, 6) for base in (1, 2, 5))
"""Seconds: 1, 2 and 5 ms, and so on up to 500,000 s. What took longer counts as the last."""
MINUTES = 360
"""How many minutes are kept."""
HOUR = 60
MAX_BYTES = 1 << 16
"""Of the file: what does not fit is forgotten, the oldest first."""
MAX_DEATHS = 20
SAVED = 60.0
"""Seconds between two times at which it is written, if anything has happened."""
ROW = 20
"""So many answers in a row, none of them a success, and the handler is failing."""
FEW, LATELY = 3, 300.0
"""So many in so many seconds are enough, where there was no success in these."""


class Minute:
    """:ivar at: Unix minutes.
    :ivar counts: of answers, by status.
    :ivar queue: the most that waited.
    :ivar within: counts of answers, by index into :data:`BOUNDS`.
    """

    __slots__ = ("at", "counts", "queue", "within")

    def __init__(self, at: int) -> None:
        self.at = at
        self.counts = dict.fromkeys(STATUSES, 0)
        self.queue = 0
        self.within = [0] * len(BOUNDS)

    def to_list(self) -> list[Any]:
        pairs = [[index, count] for index, count in enumerate(self.within) if count]
        return [self.at, *self.counts.values(), self.queue, pairs]

    @classmethod
    def from_list(cls, fields: list[Any]) -> Minute:
        """:raises ValueError, TypeError, IndexError: it is none."""
        at, *counts, queue, pairs = fields
        made = cls(_count(at))
        made.counts = dict(zip(STATUSES, map(_count, counts), strict=True))
        made.queue = _count(queue)
        for index, count in pairs:
            made.within[_count(index)] = _count(count)
        return made


class Failing(NamedTuple):
    """That a handler answers with nothing but errors.

    :ivar since: Unix seconds of the first of them.
    :ivar answers: how many they are.
    """

    since: float
    answers: int


class History:
    """:param path: where it is kept; what lies there and is none is written over.
    :param clock: monotonic seconds.
    :param wall: Unix seconds.

    :ivar deaths: Unix seconds of the last of daemons' ends without a stop.
    :ivar deaths_in_all: how many there were.
    :ivar within: counts of this daemon's answers, by index into :data:`BOUNDS`.
    :ivar seconds: from the arrival of each of their questions to the answer, all together.
    :ivar died: whether the daemon before this one had such an end.
    :ivar answered: Unix seconds of the last answer; None where there was none yet.
    """

    def __init__(self, path: Path, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self.answered: float | None = None
        self.deaths: list[float] = []
        self.deaths_in_all = 0
        self.within = [0] * len(BOUNDS)
        self.seconds = 0.0
        self.died = False
        self._path = os.fspath(path)
        self._clock = clock
        self._wall = wall
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._row: deque[float] = deque(maxlen=ROW)
        """Monotonic seconds of answers since the last success, and how many and since when these are."""
        self._failed = Failing(0.0, 0)
        self._succeeded = -LATELY
        self._changed = True
        self._saved = clock()
        self._load()

    def answer(self, status: Status, seconds: float) -> None:
        """Count an answer.

        :param seconds: since the question came.
        """
        now = self.answered = self._wall()
        minute = self._minute(now)
        minute.counts[status] += 1
        bound = min(bisect_left(BOUNDS, seconds), len(BOUNDS) - 1)
        minute.within[bound] += 1
        self.within[bound] += 1
        self.seconds += max(0.0, seconds)
        self._changed = True
        if status == "success":
            self._succeeded = self._clock()
            if self._row:
                self._row.clear()
            return
        if not self._row:
            self._failed = Failing(now, 0)
        self._row.append(self._clock())
        self._failed = Failing(self._failed.since, self._failed.answers + 1)

    @property
    def failing(self) -> Failing | None:
        """Whether the last :data:`ROW` answers were no success, or all of the last minutes, where there are some."""
        now = self._clock()
        lately = sum(now - when < LATELY for when in self._row)
        if len(self._row) == ROW or (lately >= FEW and now - self._succeeded >= LATELY):
            return self._failed
        return None

    def tick(self, waiting: int) -> None:
        """Once a second: note how many wait, and write down what has happened.

        :param waiting: questions.
        """
        if waiting:
            minute = self._minute(self._wall())
            if waiting > minute.queue:
                minute.queue, self._changed = waiting, True
        if self._changed and self._clock() - self._saved >= SAVED:
            self.save()

    def save(self, *, ended: bool = False) -> None:
        """Write it down, if that can be done now.

        :param ended: whether the daemon ends in order.
        """
        self._changed, self._saved = False, self._clock()
        minutes = [minute.to_list() for minute in self._minutes]
        content = self._encode(minutes, ended)
        while len(content) > MAX_BYTES:
            del minutes[: len(minutes) // 8 + 1]
            content = self._encode(minutes, ended)
        aside = f"{self._path}.new"
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
            os.replace(aside, self._path)
        except OSError:  # a full disk takes minutes from it, and no answer
            return

    def report(self) -> dict[str, Any]:
        """All that is kept: ``bounds`` and ``minutes`` as in the file."""
        return {"bounds": BOUNDS, "minutes": [minute.to_list() for minute in self._minutes]}

    def latency(self) -> dict[str, float | None]:
        """Seconds within which half of the last hour's answers were given (``p50``), and 99 of 100 (``p99``): None without any."""
        within = [sum(counts) for counts in zip([0] * len(BOUNDS), *(minute.within for minute in self._last_hour()), strict=True)]
        return {"p50": _quantile(within, 0.5), "p99": _quantile(within, 0.99)}

    def hour(self) -> list[int]:
        """How many were answered in each of the last 60 minutes, the last one being this."""
        now = int(self._wall()) // 60
        counts = [0] * HOUR
        for minute in self._last_hour():
            counts[minute.at - now - 1] = sum(minute.counts.values())
        return counts

    def _last_hour(self) -> list[Minute]:
        now = int(self._wall()) // 60
        return [minute for minute in self._minutes if now - HOUR < minute.at <= now]

    def _minute(self, now: float) -> Minute:
        at = int(now) // 60
        while self._minutes and self._minutes[-1].at > at:  # the clock was set back: a minute that has not come tells nothing
            self._minutes.pop()
        if not self._minutes or self._minutes[-1].at < at:
            self._minutes.append(Minute(at))
        return self._minutes[-1]

    def _encode(self, minutes: list[list[Any]], ended: bool) -> bytes:
        kept = {"schema": SCHEMA, "ended": ended, "deaths": self.deaths, "died": self.deaths_in_all, "minutes": minutes}
        return json.dumps(kept, separators=(",", ":")).encode() + b"\n"

    def _load(self) -> None:
        try:
            kept = json.loads(read_regular(self._path, MAX_BYTES, follow=False))
            if kept["schema"] != SCHEMA:
                return
            self._minutes.extend(sorted(map(Minute.from_list, kept["minutes"]), key=lambda minute: minute.at))
            self.deaths = [float(when) for when in kept["deaths"]][-MAX_DEATHS:]
            self.deaths_in_all = _count(kept.get("died", len(self.deaths)))
            self.died = kept["ended"] is not True
            if self.died:
                self.deaths_in_all += 1
                self.deaths = [*self.deaths, os.stat(self._path).st_mtime][-MAX_DEATHS:]
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
            return


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("it is no count")
    return value


def _quantile(counts: list[int], part: float) -> float | None:
    """The least bound within which so large a part lies; None where there is nothing."""
    left = sum(counts) * part
    for bound, count in zip(BOUNDS, counts, strict=True):
        left -= count
        if count and left <= 0:
            return bound
    return None
