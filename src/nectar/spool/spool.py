"""One alias's computation directory, and the only code that renames its files.

A question is one file, moved through its states by renames, so that at any moment there is exactly one of it::

    {id}.pending ──claim──▶ .nectar/{id}.{n}.{token} ──answer in its place──▶ same name ──publish──▶ {id}.complete

``n`` says which try it is, ``token`` is fresh and random. The answer repeats the token in its field ``claim``, and is a file of this
user's that nobody else has open; only that makes a claim's content an answer: a question can contain anything, and its writer may
write in it still. Whoever comes after a process that died finds claims: one with an
answer inside is published, one with a question inside is run again as try ``n + 1``, and after three tries answered with an error.
So an answer is given exactly once, and a run happens at least once. A process that lets go in order says so of its claims (see
:mod:`nectar.spool.released`), and these are run again as the try that they are.

All access goes through the descriptors of a :class:`~nectar.spool.place.Place`.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter

from nectar.api.computation import Computation, ComputationResult, InvalidQuestionError, NotWholeError, read_object
from nectar.spool.claims import Claim, Later, Question, make_token
from nectar.spool.entries import MAX_ANSWER, PENDING, Content, NotAQuestionError, Stillness, no_question, read
from nectar.spool.listing import Listed, portions, questions
from nectar.spool.owed import Answer, Answers, Settled, Unwritten, Written, copy_onto
from nectar.spool.place import Place, SpoolBusyError, SpoolUnusableError, Standing
from nectar.spool.released import Released

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Container, Generator
    from pathlib import Path

    from nectar.api.computation import Status

MAX_TRIES = 3
STILL = 2.0
"""Seconds for which a file that is not whole must not have changed before it counts as bad."""
LOOKS = 10
"""How often one looks for what may be a claim after all."""

_UNFINISHED = re.compile(r"[0-9a-f]{16}\.answer")


class Spool:
    """One alias's directory, held by this process until :meth:`close`.

    :ivar doubts: how often :meth:`abandoned` should be asked for what the system may have done and reported as failed.
    """

    def __init__(self, place: Place, released: Released, *, max_bytes: int) -> None:
        self.closed = False
        self.doubts = 0
        self.place = place
        self._max_bytes = max_bytes
        self._held: Counter[str] = Counter()
        self._mine: set[Claim] = set()
        self._released = released
        self._same_try = set(released.tokens)
        self._torn = Stillness()
        self._missed: set[Claim] = set()
        self._following: dict[Claim, Claim] = {}
        self._owed = Answers(place)

    @classmethod
    def open(cls, path: Path, *, max_bytes: int) -> Spool:
        """Take hold of a directory.

        :param path: the alias's computation directory.
        :param max_bytes: a larger question is not read.
        :raises SpoolBusyError: another process holds it.
        :raises SpoolUnusableError: it is not there, cannot be written, or its ``.nectar`` is not this user's alone.
        """
        place = Place.take(path)
        try:
            return cls(place, Released(place.claims), max_bytes=max_bytes)
        except BaseException as error:
            place.close()
            if isinstance(error, OSError):
                raise SpoolUnusableError(f"{path}: {error.strerror}") from None
            raise

    def close(self) -> OSError | None:
        """Let go of it, in order. What was claimed and not answered stays a claim for the next process.

        :returns: why that cannot be told to the next process, for which these are tries then.
        """
        self.closed = True
        try:
            return self._released.say(frozenset(self._same_try.difference(claim.token for claim in self._owed.written)))
        finally:
            self.place.close()

    @property
    def _directory(self) -> int:
        return self.place.directory

    @property
    def _claims(self) -> int:
        return self.place.claims

    @property
    def busy(self) -> bool:
        """Whether any claim is held: being run, or with an answer that is still to be published."""
        return bool(self._held)

    def __contains__(self, claim: Claim) -> bool:
        """Whether this claim is held."""
        return claim in self._mine

    @property
    def unanswered(self) -> list[Claim]:
        """Claims that are held and have no answer yet."""
        return [claim for claim in self._mine if claim not in self._owed]

    def waiting(self, limit: int, *, but: Container[str | Claim] = ()) -> Generator[None, None, Listed]:
        """What is there to be answered, all ``but`` some ids and those of which a claim is held: the oldest, at most ``limit``."""
        return questions(self._directory, limit, lambda comp_id: comp_id in self._held or comp_id in but)

    def abandoned(self) -> Generator[None, None, list[Claim]]:
        """Claims that nobody holds, because a dead process left them, or :meth:`leave` did; they are held when it ends.

        What a dead process left of unfinished answers is removed, and questions that have changed places with theirs. Foreign files
        stay as they are.
        """
        self.doubts = max(0, self.doubts - 1)
        claims = []
        for portion in portions(self._claims):
            for entry in portion:
                if not entry.is_file(follow_symlinks=False):
                    continue
                if claim := Claim.named(entry.name):
                    if claim not in self._mine:
                        claims.append(claim)
                elif _UNFINISHED.fullmatch(entry.name):
                    try:
                        os.unlink(entry.name, dir_fd=self._claims)
                    except OSError:  # it is in nobody's way
                        continue
            yield
        for claim in claims:
            self._hold(claim)
        for claim in [claim for claim, following in self._following.items() if following in self._mine]:
            self._let_go(claim)
        if not self.doubts:
            self._same_try &= {claim.token for claim in self._mine}
        return claims

    def leave(self, claim: Claim) -> None:
        """Let go of a claim that is not being run: it stays where it is, for who asks :meth:`abandoned` next."""
        if claim not in self._mine:
            return
        self._mine.remove(claim)
        self._torn.forget(claim.name)
        self._missed.discard(claim)
        self._following.pop(claim, None)
        self._held[claim.comp_id] -= 1
        if self._held[claim.comp_id] <= 0:
            del self._held[claim.comp_id]

    def count_try(self, claim: Claim) -> None:
        """Have the run of a claim be a try: taken further, it is the next one."""
        self._same_try.discard(claim.token)

    def written(self, item: str | Claim) -> float:
        """The time of a question's file, in Unix seconds; 0 where it cannot be looked at."""
        name, directory = (item.name, self._claims) if isinstance(item, Claim) else (item + PENDING, self._directory)
        try:
            return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime
        except OSError:
            return 0.0

    def claim(self, comp_id: str, now: float) -> Question | Later | None:
        """Take the question of an id.

        :param now: monotonic seconds.
        :returns: the question; or when to look again; or None where there is none, or one of this id is being answered.
        :raises NotAQuestionError: what has its name is none.
        """
        if comp_id in self._held:
            return None
        name = comp_id + PENDING
        try:
            # Looked at before it is opened, so that no FIFO and no device notices.
            reason = no_question(comp_id, os.stat(name, dir_fd=self._directory, follow_symlinks=False))
            if reason is not None:
                raise NotAQuestionError(reason)
            content = self._read(name, self._directory)
        except FileNotFoundError:
            self._torn.forget(name)
            return None
        understood = self._understand(name, content, comp_id, now)
        if isinstance(understood, Later):
            return understood
        if self.place.standing() is Standing.AWAY:  # what is taken to there is lost
            return Later(STILL)
        claim = Claim(comp_id, 1, make_token())
        try:
            self._rename(name, self._directory, claim)
        except FileNotFoundError:
            return None
        self._hold(claim)
        # Between the look and the claim its writer may have put another file in its place: that one is the question.
        try:
            claimed = os.stat(claim.name, dir_fd=self._claims, follow_symlinks=False)
            if (claimed.st_ino, claimed.st_size, claimed.st_mtime_ns) != content.signature:
                return self.resume(claim, now)
            self._keep(claim, content)
        except OSError as error:
            return Later(1.0, claim, error)
        return self._question(claim, content, understood)

    def resume(self, claim: Claim, now: float) -> Question | Later | None:
        """Look into a claim that is held and not being run, and take it further.

        Only a death is a try: a claim that a dead process left becomes the next one, any other stays the one that it is.
        Nothing says so any more of a claim that is to be run, in case that this process dies of it.

        :returns: a question to be run; or when to look again; or None where it held an answer, or nothing: :meth:`settle`
            publishes it then, or says that it is lost.
        """
        if claim not in self._mine:
            return None
        try:
            content = self._read(claim.name, self._claims, MAX_ANSWER)
        except FileNotFoundError:
            if claim not in self._missed and not self._owed.homeless(claim):  # a name may be missing for a moment
                self._missed.add(claim)
                return Later(1.0, claim)
            self._lose(claim, "its claim was removed")
            return None
        except NotAQuestionError as error:
            self._lose(claim, f"its claim was replaced: {error}")
            return None
        self._missed.discard(claim)
        answer = self._answer_in(content, claim)
        if answer is not None:
            self._owed.owe(Written(Answer(claim, answer, content.status.st_mode, content.status.st_gid)))
            return None
        content = content.within(self._max_bytes)
        understood = self._understand(claim.name, content, claim.comp_id, now)
        if isinstance(understood, Later):
            return Later(understood.seconds, claim)
        self._keep(claim, content)
        if claim.token in self._same_try and self._released.strike(claim.token):
            return self._question(claim, content, understood)
        if claim.attempt >= MAX_TRIES:
            problem = f"it was tried {MAX_TRIES} times, and each time the daemon, or its engine, ended before the answer was there"
            return self._question(claim, content, problem)
        return self._question(self._next_try(claim), content, understood)

    def _next_try(self, claim: Claim) -> Claim:
        following = Claim(claim.comp_id, claim.attempt + 1, make_token())
        self._following[claim] = following
        self._rename(claim.name, self._claims, following)
        self._hold(following)
        self._let_go(claim)
        return following

    def _rename(self, name: str, directory: int, claim: Claim) -> None:
        """Make a file a claim of ours.

        What a network's file system has done it may report as failed. If it cannot even be seen now, :meth:`abandoned` finds it.
        """
        self._same_try.add(claim.token)
        try:
            os.rename(name, claim.name, src_dir_fd=directory, dst_dir_fd=self._claims)
        except OSError:
            self.doubts = LOOKS
            if not self._sees(claim):
                raise

    def _sees(self, claim: Claim) -> bool:
        try:
            os.stat(claim.name, dir_fd=self._claims, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _lose(self, claim: Claim, reason: str) -> None:
        self._owed.lose(claim, reason)
        self._let_go(claim)

    def answer(
        self,
        question: Question,
        status: Status,
        *,
        value: int | None = None,
        error: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Note the answer to a question; :meth:`settle` writes and publishes it.

        The parameters are fields of :class:`ComputationResult`, ``seconds`` is its ``execution_time``.
        """
        claim = question.claim
        result = ComputationResult(
            comp_id=claim.comp_id, status=status, value=value, error=error, execution_time=seconds, claim=claim.token
        )
        self._owed.owe(Unwritten(Answer(claim, result, question.mode, question.group)))

    def settle(self, only: Claim | None = None, *, limit: int | None = None, last: bool = False) -> Settled:
        """Write and publish what is owed; what cannot be now stays owed.

        :param only: nothing but the answer to this.
        :param limit: how many to try at most, those first that were not tried for the longest time.
        :param last: whether what is not on disk after this never will be.
        """
        settled = self._owed.settle(only, limit, held=self._mine, last=last)
        for claim, _ in (*settled.published, *settled.lost):
            self._let_go(claim)
        return settled

    def forsaken(self) -> list[Claim]:
        """Claims that are held, and of which nothing is on disk that a next process could find."""
        try:
            removed = self.place.robbed
        except OSError:
            return []
        return [claim for claim in self._mine if removed or self._owed.homeless(claim)]

    def rehome(self) -> bool:
        """Make ``.nectar`` anew where it was removed and the directory is still at its path; what is held is still answered.

        :returns: whether it could be.
        """
        try:
            if self.place.standing() is not Standing.REMOVED:
                return False
            self._owed.rehome(self._mine)
            self.doubts = LOOKS  # what is there now may have claims of its own
        except (OSError, SpoolBusyError, SpoolUnusableError):
            return False
        return True

    def _read(self, name: str, directory: int, at_least: int = 0) -> Content:
        """:param at_least: bytes that are read even where a question must be smaller."""
        return read(name, directory, max(self._max_bytes, at_least))

    def _understand(self, name: str, content: Content, comp_id: str, now: float) -> Computation | str | Later:
        """The computation, or why it is none, or that this cannot be told yet."""
        understood: Computation | str
        try:
            if content.too_large:
                understood = f"it is larger than {self._max_bytes} bytes"
            elif content.closed is not None:
                raise NotWholeError(content.closed)
            else:
                understood = Computation.from_json(content.raw, comp_id=comp_id, timestamp=content.status.st_mtime)
        except NotWholeError as error:
            still = self._torn.still(name, content, now)
            if still < STILL:
                return Later(min(STILL - still, max(0.02, still)))
            understood = str(error)
        except InvalidQuestionError as error:
            understood = str(error)
        self._torn.forget(name)
        return understood

    def _keep(self, claim: Claim, content: Content) -> None:
        """Have a copy in a claim, instead of a question that might pass for an answer: it is this user's, and others can write in it.

        They may have it open, and would learn the token by that.
        """
        status = content.status
        if status.st_mode & 0o022 and content.raw and status.st_uid == os.geteuid() and self.place.shared:
            copy_onto(self._claims, claim, content)

    @staticmethod
    def _answer_in(content: Content, claim: Claim) -> ComputationResult | None:
        if content.status.st_uid != os.geteuid():
            return None
        try:
            if read_object(content.raw).get("claim") != claim.token:
                return None
            answer = ComputationResult.from_json(content.raw)
        except (NotWholeError, InvalidQuestionError):
            return None
        return answer if answer.comp_id == claim.comp_id else None

    @staticmethod
    def _question(claim: Claim, content: Content, understood: Computation | str) -> Question:
        status = content.status
        computation, problem = (None, understood) if isinstance(understood, str) else (understood, None)
        return Question(claim, content.raw, computation, problem, status.st_mtime, stat.S_IMODE(status.st_mode), status.st_gid)

    def _hold(self, claim: Claim) -> None:
        self._mine.add(claim)
        self._held[claim.comp_id] += 1

    def _let_go(self, claim: Claim) -> None:
        """Let go of a claim that is no more."""
        self.leave(claim)
        self._same_try.discard(claim.token)
