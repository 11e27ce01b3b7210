"""One alias that a daemon serves: what waits there, and what becomes of its directory meanwhile.

The directory is the truth. An event names a file to look at, a change of the directory's time makes it be listed, and every half
minute it is listed regardless.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from nectar.home import CLAIMS
from nectar.spool import PENDING, Claim, Later, NotAQuestionError, Question, Spool, SpoolBusyError, SpoolUnusableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nectar.runtime.journal import Seldom
    from nectar.runtime.loop import Loop
    from nectar.runtime.watcher import Watcher
    from nectar.settings import Settings

BATCH = 4096
"""Questions of one alias that are kept in mind at most; the others are found when these are done."""
REGARDLESS = 30.0
"""Seconds after which a directory is listed though nothing seems to have changed."""
TELLING = 2.0
"""Seconds after a change in which the directory's time cannot tell of another one."""
EXPIRY_ROUND = 600.0
"""Seconds between two looks for answers that nobody read, at most."""


class Alias:
    """:param path: the alias's computation directory.

    :ivar spool: None while it cannot be held; ``problem`` says why.
    """

    def __init__(self, name: str, path: Path, settings: Settings, loop: Loop, watcher: Watcher, seldom: Seldom) -> None:
        self.name = name
        self.spool: Spool | None = None
        self.problem: str | None = None
        self._path = path
        self._settings = settings
        self._loop = loop
        self._watcher = watcher
        self._seldom = seldom
        self._queue: dict[str | Claim, None] = {}
        self._more = False
        self._watch: int | None = None
        self._listed = (0, 0.0)
        self._expired = loop.now()
        self._left: list[Spool] = []

    @property
    def waiting(self) -> int:
        """Questions that are known to wait."""
        return len(self._queue)

    @property
    def busy(self) -> bool:
        """Whether anything is claimed that has no published answer yet."""
        return any(spool.busy for spool in (self.spool, *self._left) if spool is not None)

    def next(self) -> tuple[Spool, Question] | None:
        """Claim the next question, or None where there is none now."""
        while self.spool is not None:
            if not self._queue and self._more:
                self._look()
            if not self._queue:
                return None
            item = next(iter(self._queue))
            del self._queue[item]
            question = self._try(self.spool, item)
            if question is not None:
                return self.spool, question
        return None

    def tick(self) -> None:
        """Once a second: notice what no event told."""
        for spool in (self.spool, *self._left):
            if spool is not None:
                self.settle(spool)
        for spool in [spool for spool in self._left if spool.gone or not spool.busy]:
            self._left.remove(spool)
            spool.close()
        if self.spool is not None and not self._still_there(self.spool):
            self._leave()
        if self.spool is None:
            self.open()
            return
        if not self._watcher.watching(self._watch):
            self._watch = self._watcher.add(self.spool.directory, self._hint)
            self._look()
        changed, listed = self._listed
        if self.spool.changed() != changed or abs(time.time() - changed / 1e9) < TELLING or self._loop.now() - listed > REGARDLESS:
            self._look()
        if self._loop.now() - self._expired > min(EXPIRY_ROUND, max(1.0, self._settings.keep_answers / 2)):
            self._expired = self._loop.now()
            self._guarded("remove old answers", lambda spool: spool.expire(self._settings.keep_answers, time.time()))

    def open(self) -> None:
        """Try to take hold of the directory: watch first, then look, so that nothing falls between."""
        try:
            self.spool = Spool.open(self._path, max_bytes=self._settings.max_question_bytes)
        except (SpoolBusyError, SpoolUnusableError) as error:
            self.problem = str(error)
            return
        self.problem = None
        self._watch = self._watcher.add(self.spool.directory, self._hint)
        self._guarded("read what a daemon before left", lambda spool: self._queue.update(dict.fromkeys(spool.abandoned())))
        self._look()

    def settle(self, spool: Spool) -> None:
        """Publish what is owed, and say what cannot be."""
        for error in spool.settle():
            self._seldom.warn(
                f"{self.name} publish {error.errno}", f"{self.name}: an answer cannot be published yet: {error.strerror}"
            )

    def pause(self) -> None:
        """Claim nothing more: forget what waits. What is claimed can still be answered."""
        self._queue.clear()
        self._more = False
        self._watcher.remove(self._watch)
        self._watch = None

    def close(self) -> None:
        """Let go. What is claimed and not answered is left to the next process."""
        self.pause()
        for spool in (self.spool, *self._left):
            if spool is not None:
                self.settle(spool)
                spool.close()
        self.spool = None
        self._left.clear()

    def _hint(self, name: bytes) -> None:
        """Look at a file that an event named, or at all of the directory where it named none."""
        if not name:
            self._look()
        elif self._more or len(self._queue) >= BATCH:
            self._more = True  # the listing to come takes them in order
        else:
            self._queue[os.fsdecode(name).removesuffix(PENDING)] = None

    def _try(self, spool: Spool, item: str | Claim) -> Question | None:
        now = self._loop.now()
        try:
            found = spool.resume(item, now) if isinstance(item, Claim) else spool.claim(item, now)
        except NotAQuestionError as error:
            self._odd(str(item) + PENDING, str(error))
            return None
        except OSError as error:
            self._seldom.warn(f"{self.name} claim {error.errno}", f"{self.name}: a question cannot be taken yet: {error.strerror}")
            self._again(spool, item, 1.0)
            return None
        if isinstance(found, Later):
            self._again(spool, found.claim or item, found.seconds)
            return None
        if found is None:
            self.settle(spool)
        return found

    def _again(self, spool: Spool, item: str | Claim, seconds: float) -> None:
        def again() -> None:
            if self.spool is spool:
                self._queue[item] = None

        self._loop.later(seconds, again)

    def _look(self) -> None:
        if self.spool is None:
            return
        changed = self.spool.changed()

        def listing(spool: Spool) -> None:
            found, odd = spool.waiting(BATCH)
            self._queue.update(dict.fromkeys(found))
            self._more = len(found) == BATCH
            for name, reason in odd:
                self._odd(name, reason)

        self._guarded("be listed", listing)
        self._listed = (changed, self._loop.now())

    def _odd(self, name: str, reason: str) -> None:
        self._seldom.once(f"{self.name}/{name}", f"{self.name}: {name} is no question and is left alone: {reason}")

    def _guarded(self, what: str, action: Callable[[Spool], object]) -> None:
        if self.spool is None:
            return
        try:
            action(self.spool)
        except OSError as error:
            self._seldom.warn(f"{self.name} {what} {error.errno}", f"{self.name}: the directory cannot {what}: {error.strerror}")

    def _still_there(self, spool: Spool) -> bool:
        try:
            status = self._path.stat()
            claims = (self._path / CLAIMS).lstat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == spool.identity and claims.st_ino == spool.claims_inode

    def _leave(self) -> None:
        """The directory is another by now, or none: answers that are owed may still be published in the old one."""
        if self.spool is None:
            return
        self._seldom.warn(f"{self.name} left", f"{self.name}: the directory is not there any more, or is another one")
        self.pause()
        self._left.append(self.spool)
        self.spool = None
