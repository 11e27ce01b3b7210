"""When a directory is to be listed again, and how old what it has is: rules of time, which know no file and no loop.

Whatever is done to the clock, nothing is told to be older than it is; in doubt it is younger.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.spool.listing import Listed

REGARDLESS = 30.0
"""Seconds after which a directory is listed though nothing seems to have changed."""
TELLING = 2.0
"""Seconds after a change in which the directory's time cannot tell of another one."""
SELDOM = 10.0
"""Seconds between two looks at the clock, at most."""
MOST = 1000
"""Changes of the clock that are remembered."""


class Changes:
    """When a directory was seen to change, and when it was listed: each by the directory's time and in monotonic seconds."""

    def __init__(self) -> None:
        self._seen = (0, 0.0)
        self._listed = (0, 0.0)

    def listed(self, changed: int, now: float) -> None:
        """:param changed: the directory's time before it was listed."""
        self._listed = (changed, now)

    def due(self, changed: int, now: float) -> bool:
        """:param changed: the directory's time."""
        if changed != self._seen[0]:
            self._seen = (changed, now)
        # Its time stands still within one tick of the file system's clock, so that a change just after the last look may be hidden.
        return changed != self._listed[0] or now - self._seen[1] < TELLING or now - self._listed[1] > REGARDLESS


class Age:
    """Tells what time it is to who asks how old a file is: a clock that is set forward makes nothing older.

    A jump of the clock changes how far it is ahead of the monotonic one; the least of what that was counts, in the time that
    matters. So a file looks younger than it is for a while, and never older. A jump before there was an :class:`Age` is not seen.

    :param monotonic: seconds.
    :param wall: Unix seconds.
    """

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._least: deque[tuple[float, int]] = deque()
        """The least that it has been ahead since, with when it was that for the last time."""
        self.look()

    def look(self) -> None:
        """Remember how far the clock is ahead; to be called often."""
        self._look(self._monotonic(), self._wall())

    def now(self, seconds: float) -> float:
        """Unix seconds from which to count back.

        :param seconds: the age that matters.
        """
        monotonic, wall = self._monotonic(), self._wall()
        self._look(monotonic, wall)
        since = monotonic - seconds - SELDOM
        return min(wall, monotonic + next(ahead for when, ahead in self._least if when >= since))

    @property
    def ahead(self) -> int:
        """Seconds that the clock is ahead of the monotonic one, which tell of nothing but its jumps."""
        return int(self._wall() - self._monotonic())

    def _look(self, monotonic: float, wall: float) -> None:
        ahead = int(wall - monotonic)
        while self._least and self._least[-1][1] >= ahead:
            self._least.pop()
        self._least.append((monotonic, ahead))
        if len(self._least) > MOST:
            _, least = self._least.popleft()
            self._least[0] = (self._least[0][0], least)


class Arrivals:
    """When the questions came that one alias was found to have.

    One that came while the alias was served is as old as its arrival, whatever its file says. One that was there before is as old
    as its file. Where there are more than are kept in mind, a later listing tells them apart by when their inodes were changed last,
    which nobody can set: what has come since was changed after all that was there.
    """

    def __init__(self, age: Age, monotonic: Callable[[], float], *, served: bool = False) -> None:
        self._age = age
        self._monotonic = monotonic
        self._begun = served
        self._before = 0
        self._ahead = 0

    def listed(self, found: Listed) -> dict[str, float | None]:
        """When each came that a listing found: monotonic seconds, or None for before the alias was served."""
        if not self._begun:
            self._begun = True
            self._before = found.changed if found.more else 0
            self._ahead = self._age.ahead
            return dict.fromkeys(found.questions)
        if self._age.ahead < self._ahead - 1:  # what is new may look as if it had been there
            self._before = 0
        now = self._monotonic()
        arrived = {comp_id: None if changed < self._before else now for comp_id, changed in found.questions.items()}
        if not found.more:
            self._before = 0
        return arrived

    def waited(self, arrived: float | None, written: float, seconds: float) -> bool:
        """Whether a question has waited longer than a time.

        :param arrived: monotonic seconds; None where it was there before the alias was served.
        :param written: Unix seconds, its file's own time.
        """
        if arrived is not None:
            return self._monotonic() - arrived > seconds
        # A file from before there were such has no time, but a file system or an archive that keeps none.
        return written > 0 and self._age.now(seconds) - written > seconds

    def seconds(self, arrived: float | None, written: float) -> float:
        """For how long a question has waited, as far as can be told; the parameters are those of :meth:`waited`."""
        if arrived is not None:
            return self._monotonic() - arrived
        return max(0.0, self._age.now(0) - written) if written > 0 else 0.0
