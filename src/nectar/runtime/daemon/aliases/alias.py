"""One alias that a daemon serves: what waits there, and what becomes of its directory meanwhile.

The directory is the truth. An event names a file to look at, a change of the directory's time makes it be listed, and every half
minute it is listed regardless.
"""

from __future__ import annotations

import dataclasses
import errno
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from nectar.api.computation import ComputationResult
from nectar.runtime.daemon.aliases.failures import Failures
from nectar.runtime.daemon.aliases.oddities import Oddities
from nectar.runtime.daemon.aliases.rescan import Arrivals, Changes
from nectar.runtime.daemon.aliases.room import require_room
from nectar.runtime.daemon.aliases.scans import SLICE
from nectar.runtime.daemon.log import visible
from nectar.spool.claims import Claim, Later, Question
from nectar.spool.entries import LINKED, PENDING, NotAQuestionError
from nectar.spool.listing import expire
from nectar.spool.place import SpoolBusyError, SpoolUnusableError
from nectar.spool.spool import Spool

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Container, Generator
    from pathlib import Path

    from nectar.runtime.daemon.aliases.rescan import Age
    from nectar.runtime.daemon.aliases.scans import Scans
    from nectar.runtime.daemon.aliases.watcher import Watcher
    from nectar.runtime.daemon.job import Outcome
    from nectar.runtime.daemon.log import Seldom
    from nectar.runtime.daemon.loop import Loop
    from nectar.settings import Settings

BATCH = 4096
"""Questions of one alias that are kept in mind at most; the others are found when these are done."""
EXPIRY_ROUND = 600.0
"""Seconds between two looks for answers that nobody read, at most."""
SETTLED_AT_ONCE = 500
"""Answers that are tried again in one go, at most."""
RECOVERY, LISTING, EXPIRY = "searched for what a daemon before left", "listed", "cleared of answers that nobody read"
"""What is done to a directory in turns with all else."""
BLOCKED = 1.0
"""Seconds in which nothing is tried after something failed that would fail for each question."""
ASKED, PUBLISHED = "asked for its next question", "published"
OF_ALL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What goes wrong for any question and not for one."""


class Alias:
    """:param path: the alias's computation directory.
    :param counts: where what was published is counted, by status, and what is ``lost``.
    :param served: whether this daemon served it before: what is found then may have come meanwhile.
    :param twin: names another alias that the handler holds, where what lies at a path is that one's directory.

    :ivar spool: None while it cannot be held; ``problem`` says why.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        settings: Settings,
        loop: Loop,
        watcher: Watcher,
        seldom: Seldom,
        counts: Counter[str],
        twin: Callable[[Path], str | None],
        scans: Scans,
        age: Age,
        *,
        served: bool,
    ) -> None:
        self.name = name
        self.spool: Spool | None = None
        self._unserved: str | None = None
        self._failures = Failures()
        self._path = path
        self._settings = settings
        self._loop = loop
        self._watcher = watcher
        self._seldom = seldom
        self._counts = counts
        self._twin = twin
        self._scans = scans
        self._age = age
        self._arrivals = Arrivals(age, loop.now)
        self._queue: dict[str | Claim, float | None] = {}
        """What waits, and when it came: monotonic seconds, None for before this was served."""
        self._deferred: set[str | Claim] = set()
        self._oddities = Oddities(name, seldom)
        self._blocked = 0.0
        self._closed_until = 0.0
        self._more = False
        self._paused = False
        self._recovered = False
        self._served = served
        self._watch: int | None = None
        self._changes = Changes()
        self._expired = loop.now()
        self._left: list[Spool] = []

    @property
    def problem(self) -> str | None:
        """Why nothing is answered, or why something that is tried again fails each time."""
        return self._unserved or self._failures.often

    @property
    def waiting(self) -> int:
        """Questions that are known to wait."""
        return len(self._queue)

    @property
    def busy(self) -> bool:
        """Whether anything is claimed that has no published answer yet."""
        return any(spool.busy for spool in self._spools)

    def holds(self, path: Path) -> bool:
        """Whether the directory that it answers for is what lies at a path, as far as can be told."""
        try:
            return self.spool is not None and self.spool.place.is_at(path)
        except OSError:
            return False

    @property
    def _spools(self) -> list[Spool]:
        """Those that are held: of the directory, and of others that were in its place."""
        return self._left if self.spool is None else [self.spool, *self._left]

    @property
    def hears(self) -> bool:
        """Whether events tell of its questions; rescans find them in any case."""
        return self.spool is None or self._watcher.watching(self._watch)

    def next(self) -> Question | None:
        """Claim the next question, or None where there is none now."""
        end = self._loop.now() + SLICE
        while self.spool is not None and self._loop.now() >= self._blocked and not self._scans.goes_on((self.name, RECOVERY)):
            if not self._queue and self._more:
                self._look()
            if not self._queue:
                return None
            item, arrived = next(iter(self._queue.items()))
            del self._queue[item]
            question = self._try(self.spool, item, arrived)
            if question is not None:
                return self._judged(question, arrived)
            if self._loop.now() >= end:
                self._loop.wake()  # there may be more, after whoever else waits
                return None
        return None

    def answer(self, question: Question, outcome: Outcome) -> bool:
        """Have a question answered that was claimed here; what cannot be published now is tried again.

        :returns: False where it was let go of, and is not ours to answer any more.
        """
        spool = next((spool for spool in self._spools if question.claim in spool), None)
        if spool is None:
            return False
        result = ComputationResult(
            comp_id=question.claim.comp_id,
            status=outcome.status,
            value=outcome.value,
            error=outcome.error,
            execution_time=outcome.seconds,
        )
        spool.answer(question, result)
        self._settle(spool, question.claim)
        return True

    def _judged(self, question: Question, arrived: float | None) -> Question:
        deadline = None if question.computation is None else question.computation.deadline
        late = deadline is not None and self._arrivals.waited(arrived, question.written, deadline)
        return dataclasses.replace(question, late=late)

    def tick(self) -> None:
        """Once a second: notice what no event told."""
        for spool in self._spools:
            self._settle(spool, limit=SETTLED_AT_ONCE)
        try:
            for spool in [spool for spool in self._left if not spool.busy or spool.place.gone]:
                self._left.remove(spool)
                self._close(spool)
            self._notice()
        except OSError as error:
            self._trouble("looked at", error)
        else:
            self._failures.worked("looked at")

    def _notice(self) -> None:
        now = self._loop.now()
        if self.spool is not None and not self.spool.place.is_at(self._path):
            if self.spool.rehome():
                self._seldom.warn(f"{self.name} rehomed", f"{self.name}: .nectar was removed, and has been made anew")
            else:
                self._leave()
        if self.spool is None:
            if now >= self._closed_until:
                self.open()
            return
        if not self._recovered or self.spool.doubts:
            self._recover()
        if not self._watcher.watching(self._watch):
            self._watch = self._watcher.add(self.spool.place.directory, self._loop.guarded(self._hint))
            self._look()
        if (
            self._changes.due(self.spool.place.changed(), now) and not self._more
        ):  # what is in mind comes first, and then the directory is listed anyway
            self._look()
        if now - self._expired > min(EXPIRY_ROUND, max(1.0, self._settings.keep_answers / 2)):
            self._begin(EXPIRY, self._expiring(self.spool))

    def hold_off(self, seconds: float) -> None:
        """Open it later, because it has failed again and again."""
        self._closed_until = self._loop.now() + seconds
        self._unserved = f"nectar failed at it, which the log tells; it is tried again within {seconds:g} s"

    def open(self) -> None:
        """Try to take hold of the directory: watch first, then look, so that nothing falls between."""
        try:
            self.spool = self._back() or self._hold()
        except (SpoolBusyError, SpoolUnusableError) as error:
            twin = self._twin(self._path) if isinstance(error, SpoolBusyError) else None
            same = f"{twin} and {self.name} are the same directory, which is answered for as {twin}"
            self._unserved = str(error) if twin is None else same
            self._seldom.warn(f"{self.name} open", f"{self.name}: it cannot be served: {visible(self._unserved)}")
            return
        self._unserved = None
        self._paused = self._recovered = False
        self._arrivals = Arrivals(self._age, self._loop.now, served=self._served)
        self._watch = self._watcher.add(self.spool.place.directory, self._loop.guarded(self._hint))
        self._recover()
        self._look()
        self._served = True

    def _hold(self) -> Spool:
        require_room()
        return Spool.open(self._path, max_bytes=self._settings.max_question_bytes)

    def _recover(self) -> None:
        """Take over claims that nobody holds: what a daemon before left."""
        arrived = self._loop.now() if self._served else None

        def recover(spool: Spool) -> Generator[None, None, None]:
            self._queue.update(dict.fromkeys((yield from spool.abandoned()), arrived))
            self._recovered = True

        if self.spool is not None:
            self._begin(RECOVERY, recover(self.spool))

    def _expiring(self, spool: Spool) -> Generator[None, None, None]:
        yield from expire(spool.place.directory, self._settings.keep_answers, self._age.now(self._settings.keep_answers))
        self._expired = self._loop.now()

    def _settle(self, spool: Spool, only: Claim | None = None, *, limit: int | None = None, last: bool = False) -> None:
        """Publish what is owed, count what was, and say what cannot be and what is lost."""
        settled = spool.settle(only, limit=limit, last=last)
        for _, status in settled.published:
            self._counts[status] += 1
        for claim, reason in settled.lost:
            self._lose(claim, reason)
        for error in settled.problems:
            if (
                error.errno in OF_ALL and spool is self.spool
            ):  # no answer would find its place: a question is better left where it is
                self._blocked = self._loop.now() + BLOCKED
            self._tell(PUBLISHED, f"an answer cannot be published yet: {error.strerror}", error)
        if settled.published or (only is None and not settled.problems):
            self._failures.worked(PUBLISHED)

    def strays(self, running: Container[object]) -> list[Claim]:
        """Claims that are held, and that nobody runs, owes, waits with or has queued."""
        if self.spool is None or self._paused:
            return []
        known = (running, self._queue, self._deferred)
        return [claim for claim in self.spool.unanswered if not any(claim in each for each in known)]

    def requeue(self, claim: Claim) -> None:
        """Have one of :meth:`strays` taken further as the same try."""
        self._queue[claim] = self._loop.now()

    def _lose(self, claim: Claim, reason: str) -> None:
        self._counts["lost"] += 1
        text = f"{self.name} {visible(claim.comp_id)}: lost, nobody will see its answer: {visible(reason)}"
        self._seldom.warn(f"{self.name} lost {claim.name}", text)

    def pause(self) -> None:
        """Claim nothing more: forget what waits. What is claimed can still be answered."""
        self._paused = True
        for what in (RECOVERY, LISTING, EXPIRY):
            self._scans.cancel((self.name, what))
        for item in (*self._queue, *self._deferred):
            if isinstance(item, Claim) and self.spool is not None:
                self.spool.leave(item)
        self._queue.clear()
        self._deferred.clear()
        self._more = False
        self._watcher.remove(self._watch)
        self._watch = None

    def close(self) -> None:
        """Let go. What is claimed and not answered is left to the next process."""
        try:
            with ExitStack() as stack:
                for spool in self._spools:
                    stack.callback(self._close, spool)
                self.pause()
        finally:
            self.spool = None
            self._left.clear()

    def _close(self, spool: Spool) -> None:
        try:
            self._settle(spool, last=True)
            for claim in spool.forsaken():
                self._lose(claim, ".nectar was removed")
        finally:
            error = spool.close()
        if error is not None:
            text = f"{self.name}: what was let go of will count as tried, because it cannot be noted: {error.strerror}"
            self._seldom.warn(f"{self.name} released {error.errno}", text)

    def _hint(self, name: bytes) -> None:
        """Look at a file that an event named, or at all of the directory where it named none."""
        if not name:
            self._look()
        elif name.startswith(b"."):  # it is about to be renamed; what stays is told when it is listed
            return
        elif self._more or len(self._queue) >= BATCH:
            self._more = True  # the listing to come takes them in order
        elif (comp_id := os.fsdecode(name).removesuffix(PENDING)) not in self._deferred:
            self._queue[comp_id] = self._loop.now()

    def _try(self, spool: Spool, item: str | Claim, arrived: float | None) -> Question | None:
        now = self._loop.now()
        try:
            found = spool.resume(item, now) if isinstance(item, Claim) else spool.claim(item, now)
        except NotAQuestionError as error:
            if str(error) != LINKED:
                self._oddities.tell(str(item) + PENDING, str(error))
            elif self._oddities.delivered(str(item), now):
                self._again(spool, item, arrived, 1.0)
            return None
        except OSError as error:
            found = Later(BLOCKED, item if isinstance(item, Claim) else None, error)
        if isinstance(found, Later):
            item = found.claim or item
            if found.error is not None:
                self._trouble(ASKED, found.error)
            if found.error is not None and found.error.errno in OF_ALL:
                self._blocked = now + BLOCKED
                self._queue = {item: arrived, **self._queue}
            else:
                self._again(spool, item, arrived, found.seconds)
            return None
        self._failures.worked(ASKED)
        if found is None and isinstance(item, Claim):
            self._settle(spool, item)
        return found

    def _again(self, spool: Spool, item: str | Claim, arrived: float | None, seconds: float) -> None:
        def again() -> None:
            if item in self._deferred and self.spool is spool:
                self._deferred.discard(item)
                self._queue[item] = arrived

        # Until then no listing and no event brings it up again, or a directory full of such would be gone through for ever.
        self._deferred.add(item)
        self._loop.later(seconds, again)

    def _look(self) -> None:
        if self.spool is not None and not self._paused:
            self._begin(LISTING, self._listing(self.spool))

    def _listing(self, spool: Spool) -> Generator[None, None, None]:
        changed = spool.place.changed()
        # Meanwhile events are heeded, though it may be that older questions are still to be found.
        more, self._more = self._more, False
        try:
            found = yield from spool.waiting(BATCH, but=self._deferred)
        except OSError:
            self._more = more
            raise
        for comp_id, arrived in self._arrivals.listed(found).items():
            if comp_id not in self._deferred:
                self._queue.setdefault(comp_id, arrived)
        self._more = self._more or found.more
        self._changes.listed(changed, self._loop.now())
        for comp_id in self._oddities.listed(found.odd, self._deferred):
            self._queue.setdefault(comp_id, self._loop.now())

    def _begin(self, what: str, scan: Generator[None, None, None]) -> None:
        self._scans.begin((self.name, what), self._guarded(what, scan))

    def _guarded(self, what: str, scan: Generator[None, None, None]) -> Generator[None, None, None]:
        try:
            yield from scan
        except OSError as error:
            self._trouble(what, error)
            self._blocked = self._loop.now() + BLOCKED
        except Exception as error:
            self._loop.fault(error)
        else:
            self._failures.worked(what)

    def _trouble(self, what: str, error: OSError) -> None:
        self._tell(what, f"the directory cannot be {what} now: {error.strerror}", error)

    def _tell(self, what: str, text: str, error: OSError) -> None:
        self._failures.failed(what, text)
        self._seldom.warn(f"{self.name} {what} {error.errno}", f"{self.name}: {text}")

    def _leave(self) -> None:
        """The directory is another by now, or none: answers that are to come may still be published in the old one."""
        if self.spool is None:
            return
        self._seldom.warn(f"{self.name} left", f"{self.name}: the directory is not there any more, or is another one")
        self.pause()
        self._left.append(self.spool)
        self.spool = None

    def _back(self) -> Spool | None:
        """The spool of a directory that was moved away, still holds a run, and is at its place again."""
        for spool in self._left:
            if not spool.place.gone and spool.place.is_at(self._path):
                self._left.remove(spool)
                return spool
        return None
