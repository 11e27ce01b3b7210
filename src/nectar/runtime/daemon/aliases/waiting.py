"""What waits in the directory of an alias, while that is held: how it is found, claimed, and looked at again where it is not whole.

The directory is the truth. An event names a file to look at, a change of the directory's time makes it be listed, and every half
minute it is listed regardless.
"""

from __future__ import annotations

import os

from nectar.runtime.daemon.aliases.failures import BLOCKED, OF_ALL
from nectar.runtime.daemon.aliases.rescan import Changes
from nectar.runtime.daemon.aliases.scans import SLICE
from nectar.spool.claims import Claim, Later, Question
from nectar.spool.entries import LINKED, PENDING, NotAQuestionError

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator

    from nectar.runtime.daemon.aliases.failures import Failures
    from nectar.runtime.daemon.aliases.oddities import Oddities
    from nectar.runtime.daemon.aliases.rescan import Arrivals
    from nectar.runtime.daemon.aliases.scans import Scans
    from nectar.runtime.daemon.loop import Loop
    from nectar.spool.spool import Spool

BATCH = 4096
"""Questions of one alias that are kept in mind at most; the others are found when these are done."""
RECOVERY, LISTING = "searched for what a daemon before left", "listed"
"""What is done to a directory in turns with all else."""
ASKED = "asked for its next question"


class Waiting:
    """:param settle: publishes the answer that a claim was found to hold, or says that it is lost."""

    def __init__(
        self,
        alias: str,
        spool: Spool,
        loop: Loop,
        scans: Scans,
        arrivals: Arrivals,
        failures: Failures,
        oddities: Oddities,
        settle: Callable[[Claim], None],
    ) -> None:
        self._alias = alias
        self._spool = spool
        self._loop = loop
        self._scans = scans
        self._arrivals = arrivals
        self._failures = failures
        self._oddities = oddities
        self._settle = settle
        self._queue: dict[str | Claim, float | None] = {}
        """What waits, and when it came: monotonic seconds, None for before this was served."""
        self._deferred: set[str | Claim] = set()
        self._changes = Changes()
        self._more = False
        self._beyond = 0
        self._recovered = False

    @property
    def count(self) -> int:
        """Questions that wait, those included that are not kept in mind, as the last listing counted them."""
        return len(self._queue) + len(self._deferred) + self._beyond

    @property
    def oldest(self) -> float | None:
        """For how many seconds the question whose turn is next has waited; None where none is."""
        if not self._queue:
            return None
        item, arrived = next(iter(self._queue.items()))
        return self._arrivals.seconds(arrived, self._spool.written(item) if arrived is None else 0.0)

    def begin(self, *, served: bool) -> None:
        """Look for all that is there; to be called when events tell of what comes, so that nothing falls between.

        :param served: whether this daemon served the alias before: what is found then may have come meanwhile.
        """
        self._recover(self._loop.now() if served else None)
        self.look()

    def next(self) -> Question | None:
        """Claim the next question, or None where there is none now."""
        end = self._loop.now() + SLICE
        while not self._failures.blocked and not self._scans.goes_on((self._alias, RECOVERY)):
            if not self._queue and self._more:
                self.look()
            if not self._queue:
                return None
            item, arrived = next(iter(self._queue.items()))
            del self._queue[item]
            question = self._try(item, arrived)
            if question is not None:
                return self._judged(question, arrived)
            if self._loop.now() >= end:
                self._loop.wake()  # there may be more, after whoever else waits
                return None
        return None

    def tick(self) -> None:
        """Once a second: notice what no event told."""
        if not self._recovered or self._spool.doubts:
            self._recover(self._loop.now())
        # What is in mind comes first, and then the directory is listed anyway.
        if self._changes.due(self._spool.place.changed(), self._loop.now()) and not self._more:
            self.look()

    def hint(self, name: bytes) -> None:
        """Look at a file that an event named, or at all of the directory where it named none."""
        if not name:
            self.look()
        elif name.startswith(b"."):  # it is about to be renamed; what stays is told when it is listed
            return
        elif self._more or len(self._queue) >= BATCH:
            self._more = True  # the listing to come takes them in order
        elif (comp_id := os.fsdecode(name).removesuffix(PENDING)) not in self._deferred:
            self._queue[comp_id] = self._loop.now()

    def look(self) -> None:
        """Have the directory listed."""
        self._begin(LISTING, self._listing())

    def strays(self, running: Container[object]) -> list[Claim]:
        """Claims that are held, and that nobody runs, owes, waits with or has queued."""
        known = (running, self._queue, self._deferred)
        return [claim for claim in self._spool.unanswered if not any(claim in each for each in known)]

    def requeue(self, claim: Claim) -> None:
        """Have a claim that is held, and that nobody runs, taken further as the same try."""
        self._queue[claim] = self._loop.now()

    def end(self) -> None:
        """Look for nothing more; what is claimed and does not run is for whoever holds the directory next, or again."""
        for what in (RECOVERY, LISTING):
            self._scans.cancel((self._alias, what))
        for item in (*self._queue, *self._deferred):
            if isinstance(item, Claim):
                self._spool.leave(item)

    def _judged(self, question: Question, arrived: float | None) -> Question:
        deadline = None if question.computation is None else question.computation.deadline
        late = deadline is not None and self._arrivals.waited(arrived, question.written, deadline)
        return question._replace(arrived=arrived, late=late)

    def _try(self, item: str | Claim, arrived: float | None) -> Question | None:
        now = self._loop.now()
        try:
            found = self._spool.resume(item, now) if isinstance(item, Claim) else self._spool.claim(item, now)
        except NotAQuestionError as error:
            if str(error) != LINKED:
                self._oddities.tell(str(item) + PENDING, str(error))
            elif self._oddities.delivered(str(item), now):
                self._again(item, arrived, 1.0)
            return None
        except OSError as error:
            found = Later(BLOCKED, item if isinstance(item, Claim) else None, error)
        if isinstance(found, Later):
            self._put_off(found.claim or item, arrived, found)
            return None
        self._failures.worked(ASKED)
        if found is None and isinstance(item, Claim):
            self._settle(item)
        return found

    def _put_off(self, item: str | Claim, arrived: float | None, later: Later) -> None:
        if later.error is not None:
            self._failures.failed(ASKED, later.error)
        if later.error is not None and later.error.errno in OF_ALL:
            self._failures.block()
            self._queue = {item: arrived, **self._queue}
        else:
            self._again(item, arrived, later.seconds)

    def _again(self, item: str | Claim, arrived: float | None, seconds: float) -> None:
        def again() -> None:
            self._deferred.discard(item)
            self._queue[item] = arrived

        # Until then no listing and no event brings it up again, or a directory full of such would be gone through for ever.
        self._deferred.add(item)
        self._loop.later(seconds, again)

    def _recover(self, arrived: float | None) -> None:
        """Take over claims that nobody holds: what a daemon before left."""

        def recover() -> Generator[None, None, None]:
            self._queue.update(dict.fromkeys((yield from self._spool.abandoned()), arrived))
            self._recovered = True

        self._begin(RECOVERY, recover())

    def _listing(self) -> Generator[None, None, None]:
        changed = self._spool.place.changed()
        # Meanwhile events are heeded, though it may be that older questions are still to be found.
        more, self._more = self._more, False
        try:
            # Without those that are known, each of which would cost a call of the system: in a burst it is listed every second.
            found = yield from self._spool.waiting(BATCH, but=self._deferred | self._queue.keys())
        except OSError:
            self._more = more
            raise
        for comp_id, arrived in self._arrivals.listed(found).items():
            if comp_id not in self._deferred:
                self._queue.setdefault(comp_id, arrived)
        self._more = self._more or found.more
        self._beyond = found.beyond
        self._changes.listed(changed, self._loop.now())
        for comp_id in self._oddities.listed(found.odd, self._deferred):
            self._queue.setdefault(comp_id, self._loop.now())

    def _begin(self, what: str, scan: Generator[None, None, None]) -> None:
        self._scans.begin((self._alias, what), self._failures.guarded(what, scan))
