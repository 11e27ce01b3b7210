"""What a daemon does once it has the handler's name: questions from the spools to the workers, answers back, and requests.

It is imported while the first worker loads the handler, and made when the name is taken.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter

import nectar
from nectar.api.computation import SHARE_MODULUS
from nectar.errors import NectarError
from nectar.events import ERROR, INFO, PRINTED, WARNING, as_word, visible
from nectar.namelock import NameLock
from nectar.runtime.daemon.aliases.aliases import Aliases
from nectar.runtime.daemon.aliases.rescan import Age
from nectar.runtime.daemon.aliases.watcher import INOTIFY, Watcher
from nectar.runtime.daemon.control import Control
from nectar.runtime.daemon.history import BOUNDS, History
from nectar.runtime.daemon.job import Failure, Job, Outcome, tell_outcome
from nectar.runtime.daemon.log import LogFile, Seldom, Tally, hear
from nectar.runtime.daemon.loop import BEAT
from nectar.runtime.daemon.presence import Presence

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from nectar.home import Home
    from nectar.runtime.daemon.aliases.alias import Alias
    from nectar.runtime.daemon.control import Reply
    from nectar.runtime.daemon.loop import Loop, Timer
    from nectar.runtime.daemon.workers.pool import Pool
    from nectar.settings import Settings
    from nectar.spool.claims import Question

AGAIN = 0.3
"""Seconds after which a lock that was missed is missed for good: who replaces a directory by a link has it away for a moment."""
ROUND = 100
"""Questions that are taken before others in the loop have their turn: those that cannot be run keep no worker busy."""

OUT_OF_RANGE = "an answer was outside 0 … 2**32 - 1: it comes out of the network changed (this is told once a minute at most)"


class Service:
    """A handler that has its name.

    :param stop: called with the seconds that what runs has to finish, when a request asks for the end.
    :param state: in a word, for who asks.
    :param wall: Unix seconds.
    :raises ConflictError: the name is another daemon's.
    :raises NectarError: the log or the socket cannot be opened.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        settings: Settings,
        loop: Loop,
        pool: Pool,
        *,
        stop: Callable[[float], None],
        state: Callable[[], str],
        watcher: Watcher | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.started = wall()
        self._wall = wall
        self._settings = settings
        self._loop = loop
        self._pool = pool
        self._stop = stop
        self._state = state
        self._serving = False
        self._missed = False
        self._next_look: Timer | None = None
        self._counts: Counter[str] = Counter()
        self._last_error: str | None = None
        self._failed: dict[str, Any] | None = None
        self._active = self._idle = loop.now()
        """Monotonic seconds: when a question was claimed or answered last, and when nothing waited last."""
        self._presence = Presence(home, loop.now)
        self._history = History(home.history(name), loop.now, wall)
        try:
            self._lock = NameLock(home.lock(name), self.started)
            self._log = LogFile(home.log(name), home.events(name))
            self._control = Control(loop, home.socket(name), self._handle)
        except OSError as error:
            raise NectarError(f"The daemon cannot start: {error.strerror}.", where=error.filename) from None
        if not INOTIFY:
            hear("watchdog", self._log.say)
        self._seldom = Seldom(self._log.say, loop.now)
        self._tally = Tally(self._log.say, loop.now)
        age = Age(loop.now, wall)
        self._aliases = Aliases(
            name, home, settings, loop, watcher or Watcher(loop), self._log.say, self._seldom, pool.interrupt, self._counts, age
        )

    def serve(self, handler: str, early: Iterable[str]) -> None:
        """Attach, and claim questions from now on.

        :param early: what the handler printed before there was a log.
        """
        self._serving = True
        python = ".".join(map(str, sys.version_info[:3]))
        self._log.say(f"started: nectar {nectar.__version__}, Python {python}, handler {handler}")
        self.printed(early)
        if self._history.died:
            self._log.say("the daemon before this one ended without a stop", WARNING)
        self._history.save()
        self._loop.at_beat(self._tick)
        self._next_look = self._loop.at_beat(self._keep)
        self._aliases.sync()

    def pump(self) -> None:
        """Give questions to workers that take one, fairly between aliases."""
        for _ in range(ROUND):
            if not self._serving or not self._pool.free or (found := self._aliases.next(self._pool.running)) is None:
                return
            self._active = self._loop.now()
            try:
                self._run(*found)
            except Exception as error:
                self._aliases.mend(found[0], error)
        self._loop.wake()  # there may be more, after whoever else waits

    def pause(self) -> None:
        """Claim nothing more."""
        self._serving = False
        self._log.say("stopping")
        self._aliases.pause()

    def close(self) -> None:
        """Let go of everything but the name, which goes with the process."""
        if self._next_look is not None:  # it may be due in the same turn of the loop, and would make the socket anew
            self._next_look.cancel()
        self._aliases.close()
        self._control.close()
        self._history.save(ended=True)
        self._tally.tell(last=True)
        self._log.say("stopped")

    def printed(self, lines: Iterable[str], whose: str = "") -> None:
        alias, _, computation = whose.partition(" ")
        self._log.say_all(lines, PRINTED, alias, computation)

    def warn(self, text: str, kind: str = WARNING, whose: str = "") -> None:
        """:param whose: as :attr:`nectar.runtime.daemon.job.Job.name`."""
        alias, _, computation = whose.partition(" ")
        self._log.say(text, kind, alias, computation)

    def failed(self, failure: Failure) -> None:
        """A worker could not be made ready: it is told, and tried again by the pool."""
        self._last_error, self._failed = failure.message, None
        self._seldom.warn(f"failed {failure.message}", "\n".join(filter(None, failure)), ERROR)

    def _run(self, alias: Alias, question: Question) -> None:
        computation = question.computation
        if computation is None:
            self._answer(alias, question, Outcome("error", error=f"The question cannot be answered: {question.problem}."))
            return
        if self._settings.expired == "skip" and question.late:
            expired = f"The question was older than its deadline of {computation.deadline:g} s when it was picked up."
            self._answer(alias, question, Outcome("timeout", error=expired))
            return

        def done(outcome: Outcome | None) -> None:
            if outcome is not None:
                try:
                    self._answer(alias, question, outcome)
                except Exception as error:
                    self._aliases.mend(alias, error)

        def again() -> None:
            if not alias.run_again(question):
                done(Outcome("error", error="The engine that ran it was lost."))

        deadline = min(computation.deadline, self._settings.deadline or computation.deadline, 10.0**9)
        self._pool.run(
            Job(alias.name, computation.comp_id, question.raw, question.written, deadline, done, question.claim, again=again)
        )

    def _answer(self, alias: Alias, question: Question, outcome: Outcome) -> None:
        if not alias.answer(question, outcome):
            return
        comp_id = question.claim.comp_id
        self._active = self._loop.now()
        self._history.answer(outcome.status, self._waited(question))
        if outcome.status == "success":
            if self._settings.logs_each:
                self._log.say(self._told(question, outcome), INFO, as_word(alias.name), as_word(comp_id))
            else:
                self._tally.add(as_word(alias.name), outcome.seconds or 0.0)
            if not 0 <= (outcome.value or 0) < SHARE_MODULUS:
                self._seldom.warn("range", OUT_OF_RANGE)
        else:
            self._last_error = outcome.error
            self._failed = {"time": self._wall(), "alias": alias.name, "comp_id": comp_id, "status": outcome.status}
            self._log.say(self._told(question, outcome), ERROR, as_word(alias.name), as_word(comp_id))

    def _waited(self, question: Question) -> float:
        """Seconds since a question came, or since it was written, where it was there before it was served."""
        if question.arrived is not None:
            return self._loop.now() - question.arrived
        return self._wall() - question.written if question.written else 0.0

    def _told(self, question: Question, outcome: Outcome) -> str:
        computation = question.computation
        return tell_outcome(outcome, computation.query if computation is not None and self._settings.log_answers else None)

    def _tick(self) -> None:
        if not self._serving:
            return
        try:
            self._aliases.tick()
            self._find_strays()
            waiting = self._aliases.waiting
            self._history.tick(waiting)
            if not waiting and not self._aliases.troubled:
                self._idle = self._loop.now()
        finally:
            self._loop.at_beat(self._tick)  # only now, so that a tick which takes long leaves time for all else

    def _find_strays(self) -> None:
        """See that each question which was claimed is run, or waits to be; where one does not, nectar has a bug that costs no answer."""
        for alias, claim in [*self._aliases.strays(self._pool.keys)]:
            text = "it was claimed and not run, by a bug of nectar's; it waits again"
            self._seldom.once(f"stray {claim.name}", text, ERROR, as_word(alias.name), as_word(claim.comp_id))
            alias.requeue(claim)

    def _keep(self) -> None:
        """Once a second, to the end: is the name still ours? Then what else belongs to it is made anew where it is missing."""
        missed, self._missed = self._missed, False
        try:
            loss = self._lock.loss()
            self._missed = loss is not None
            if loss is None:
                self._tally.tell()
                self._restore("log", self._log.keep)
                self._restore("socket", self._control.keep)
                self._tell_presence()
            elif missed:
                self._robbed(loss)
        finally:
            again = self._missed and not missed
            self._next_look = self._loop.later(AGAIN, self._keep) if again else self._loop.at_beat(self._keep)

    def _tell_presence(self) -> None:
        try:
            another = self._presence.tell()
        except OSError as error:
            self._seldom.warn("host", f"that this machine works in the data dir cannot be told to others: {error.strerror}")
            return
        if another is not None:
            self._seldom.once(
                f"host {another.boot}",
                f"another machine, {another.name}, works in this data dir, too: there this handler seems dead",
            )

    def _restore(self, what: str, keep: Callable[[], bool]) -> None:
        try:
            if keep():
                self._log.say(f"the {what} was moved, removed or replaced, and is made anew")
        except OSError as error:
            self._seldom.warn(f"keep {what}", f"the {what} is not there, and cannot be made anew: {error.strerror}")

    def _robbed(self, loss: str) -> None:
        """End in order, where no command can find this daemon any more: at once, where another one has the name."""
        another = self._lock.is_another_daemons()
        if self._serving:  # it is told once
            why = "another daemon has this name now" if another else "no command can find this daemon any more"
            self._log.say(f"{visible(loss)}: {why}, so it stops", WARNING)
        if self._serving or another:
            self._stop(0 if another else self._settings.stop_timeout)

    def _handle(self, request: dict[str, Any], reply: Reply) -> None:
        match request["do"]:
            case "status":
                reply(self._status())
            case "history":
                reply({"ok": True, **self._history.report()})
            case "sync" if self._serving:
                self._aliases.sync(lambda attachments: reply({"ok": True, **attachments}))
            case "stop":
                timeout = request.get("timeout", self._settings.stop_timeout)
                if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 <= timeout <= 86400:
                    raise ValueError("its timeout is no number of seconds")
                reply({"ok": True, "pid": os.getpid()})
                self._stop(timeout)
            case _:
                raise ValueError(f"it cannot be done while the daemon is {self._state()}")

    def _status(self) -> dict[str, Any]:
        failing = self._pool.last_failure
        errors = self._history.failing
        return {
            "ok": True,
            "pid": os.getpid(),
            "started": self.started,
            "state": self._state(),
            "version": nectar.__version__,
            "aliases": self._aliases.status(),
            "workers": [worker.report(self._wall()) for worker in self._pool.workers],
            "counts": {"success": 0, "error": 0, "timeout": 0, **self._counts},
            "queue": self._aliases.waiting,
            "failing": " ".join(filter(None, (failing.message, failing.hint))) if failing is not None else None,
            "errors": errors and errors._asdict(),
            "silent": self._silent(),
            "last_error": self._last_error,
            "last_failed": self._failed,
            "last_answered": self._history.answered,
            "latency": self._history.latency(),
            "hour": self._history.hour(),
            "deaths": self._history.deaths,
            "deaths_in_all": self._history.deaths_in_all,
            "answers": {"within": list(zip(BOUNDS, self._history.within, strict=True)), "seconds": self._history.seconds},
            "workers_started": self._pool.started,
            "warnings": self._pool.warnings,
            "watching": "events" if self._aliases.hear else "rescans",
        }

    def _silent(self) -> float | None:
        """For how many seconds nothing was done for what waits; None where nothing waits, or something is run and has time left."""
        if any(not run.overdue for worker in self._pool.workers for run in worker.runs):
            return None
        seconds = self._loop.now() - max(self._active, self._idle)
        return seconds if seconds > 2 * BEAT else None
