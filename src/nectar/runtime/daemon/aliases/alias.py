"""One alias that a daemon serves: which directory it is, what is answered in it, and what becomes of that meanwhile."""

from __future__ import annotations

from contextlib import ExitStack

from nectar.events import as_word, visible
from nectar.runtime.daemon.aliases.failures import OF_ALL, Failures
from nectar.runtime.daemon.aliases.oddities import Oddities
from nectar.runtime.daemon.aliases.rescan import Arrivals
from nectar.runtime.daemon.aliases.room import require_room
from nectar.runtime.daemon.aliases.waiting import Waiting
from nectar.spool.listing import expire
from nectar.spool.place import SpoolBusyError, SpoolUnusableError
from nectar.spool.spool import Spool

TYPE_CHECKING = False  # typing is not imported in a daemon
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
    from nectar.spool.claims import Claim, Question

EXPIRY_ROUND = 600.0
"""Seconds between two looks for answers that nobody read, at most."""
SETTLED_AT_ONCE = 500
"""Answers that are tried again in one go, at most."""
LOOKED, PUBLISHED, EXPIRY = "looked at", "published", "cleared of answers that nobody read"
"""What is tried, and may fail."""


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
        self._path = path
        self._settings = settings
        self._loop = loop
        self._watcher = watcher
        self._seldom = seldom
        self._counts = counts
        self._twin = twin
        self._scans = scans
        self._age = age
        self._served = served
        self._failures = Failures(name, loop, seldom)
        self._oddities = Oddities(name, seldom)
        self._waiting: Waiting | None = None
        self._watch: int | None = None
        self._closed_until = 0.0
        self._expired = loop.now()
        self._left: list[Spool] = []

    @property
    def problem(self) -> str | None:
        """Why nothing is answered, or why something that is tried again fails each time."""
        return self._unserved or self._failures.often

    @property
    def waiting(self) -> int:
        """Questions that are known to wait."""
        return 0 if self._waiting is None else self._waiting.count

    @property
    def oldest(self) -> float | None:
        """For how many seconds the question whose turn is next has waited; None where none is."""
        return None if self._waiting is None else self._waiting.oldest

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
        return None if self._waiting is None else self._waiting.next()

    def answer(self, question: Question, outcome: Outcome) -> bool:
        """Have a question answered that was claimed here; what cannot be published now is tried again.

        :returns: False where it was let go of, and is not ours to answer any more.
        """
        spool = next((spool for spool in self._spools if question.claim in spool), None)
        if spool is None:
            return False
        spool.answer(question, outcome.status, value=outcome.value, error=outcome.error, seconds=outcome.seconds)
        self._settle(spool, question.claim)
        return True

    def run_again(self, question: Question) -> bool:
        """Have a question run again that was claimed here, as the next try: its run was lost, and not by its own doing.

        :returns: False where that cannot be, because the directory is another one by now.
        """
        if self.spool is None or question.claim not in self.spool:
            return False
        self.spool.count_try(question.claim)
        if self._waiting is not None:  # else it is for the next process
            self._waiting.requeue(question.claim)
        return True

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
            self._failures.failed(LOOKED, error)
        else:
            self._failures.worked(LOOKED)

    def _notice(self) -> None:
        now = self._loop.now()
        if self.spool is not None and not self.spool.place.is_at(self._path):
            if self.spool.rehome():
                self._warn("rehomed", ".nectar was removed, and has been made anew")
            else:
                self._leave(self.spool)
        if self.spool is None:
            if now >= self._closed_until:
                self.open()
            return
        if self._waiting is None:  # it is paused
            return
        self._waiting.tick()
        if not self._watcher.watching(self._watch):
            self._watch = self._watcher.add(self.spool.place.directory, self._loop.guarded(self._waiting.hint))
            self._waiting.look()
        if now - self._expired > min(EXPIRY_ROUND, max(1.0, self._settings.keep_answers / 2)):
            self._scans.begin((self.name, EXPIRY), self._failures.guarded(EXPIRY, self._expiring(self.spool)))

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
            self._warn("open", f"it cannot be served: {visible(self._unserved)}")
            return
        self._unserved = None
        self._wait_at(self.spool)

    def _wait_at(self, spool: Spool) -> None:
        arrivals = Arrivals(self._age, self._loop.now, served=self._served)

        def settle(claim: Claim) -> None:
            self._settle(spool, claim)

        waiting = Waiting(self.name, spool, self._loop, self._scans, arrivals, self._failures, self._oddities, settle)
        self._waiting = waiting
        self._watch = self._watcher.add(spool.place.directory, self._loop.guarded(waiting.hint))
        waiting.begin(served=self._served)
        self._served = True

    def _hold(self) -> Spool:
        require_room()
        return Spool.open(self._path, max_bytes=self._settings.max_question_bytes)

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
            # Where no answer would find its place, a question is better left where it is.
            if error.errno in OF_ALL and spool is self.spool:
                self._failures.block()
            self._failures.failed(PUBLISHED, error, "an answer cannot be published yet")
        if settled.published or (only is None and not settled.problems):
            self._failures.worked(PUBLISHED)

    def strays(self, running: Container[object]) -> list[Claim]:
        """Claims that are held, and that nobody runs, owes, waits with or has queued."""
        return [] if self._waiting is None else self._waiting.strays(running)

    def requeue(self, claim: Claim) -> None:
        """Have one of :meth:`strays` taken further as the same try."""
        if self._waiting is not None:
            self._waiting.requeue(claim)

    def _lose(self, claim: Claim, reason: str) -> None:
        self._counts["lost"] += 1
        self._warn(f"lost {claim.name}", f"lost, nobody will see its answer: {visible(reason)}", as_word(claim.comp_id))

    def pause(self) -> None:
        """Claim nothing more: forget what waits. What is claimed can still be answered."""
        self._scans.cancel((self.name, EXPIRY))
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None
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
            text = f"what was let go of will count as tried, because it cannot be noted: {error.strerror}"
            self._warn(f"released {error.errno}", text)

    def _leave(self, spool: Spool) -> None:
        """The directory is another by now, or none: answers that are to come may still be published in the old one."""
        self._warn("left", "the directory is not there any more, or is another one")
        self.pause()
        self._left.append(spool)
        self.spool = None

    def _warn(self, key: str, text: str, computation: str = "") -> None:
        self._seldom.warn(f"{self.name} {key}", text, alias=as_word(self.name), computation=computation)

    def _back(self) -> Spool | None:
        """The spool of a directory that was moved away, still holds a run, and is at its place again."""
        for spool in self._left:
            if not spool.place.gone and spool.place.is_at(self._path):
                self._left.remove(spool)
                return spool
        return None
