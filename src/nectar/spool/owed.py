"""Answers that are owed: written aside, put in their questions' places, and published, however often it takes.

What a file system does and then reports as failed, as one of a network may, was done: where the file is decides.
"""

from __future__ import annotations

import errno
import os
from itertools import islice

from nectar import features
from nectar.frozen import NamedTuple
from nectar.spool.claims import make_token
from nectar.spool.entries import COMPLETE
from nectar.spool.place import SpoolBusyError, SpoolUnusableError, Standing

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Collection

    from nectar.api.computation import ComputationResult
    from nectar.spool.claims import Claim
    from nectar.spool.entries import Content
    from nectar.spool.place import Place


class Settled(NamedTuple):
    """What became of answers that were owed.

    :ivar published: claims that are no more, each with the status of its answer.
    :ivar lost: claims whose answers nobody will see, each with the reason.
    :ivar problems: why others are still owed.
    """

    published: list[tuple[Claim, str]]
    lost: list[tuple[Claim, str]]
    problems: list[OSError]


class Answer(NamedTuple):
    """What is to be in a claim, and then to be published.

    :ivar mode: permission bits of the question's file, and ``group`` its group: those of the answer's follow them.
    """

    claim: Claim
    result: ComputationResult
    mode: int
    group: int


class Unwritten(NamedTuple):
    """An answer that is nowhere on disk."""

    answer: Answer


class Written(NamedTuple):
    """An answer that is in its claim.

    :ivar doubtful: whether it may have been published though the system said that it was not.
    """

    answer: Answer
    doubtful: bool = False


Owed = Unwritten | Written


class _MissingError(OSError):
    """A claim is not where it should be: it was looked for, and not only something that was to be done with it failed."""


class Answers:
    """Those that one spool owes."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._owed: dict[Claim, Owed] = {}
        self._homeless: set[Claim] = set()
        self._missed: set[Claim] = set()
        """Claims that were not there when they were looked for."""
        self._lost: list[tuple[Claim, str]] = []

    def __contains__(self, claim: Claim) -> bool:
        return claim in self._owed

    @property
    def written(self) -> set[Claim]:
        """Claims with an answer inside."""
        return {claim for claim, owed in self._owed.items() if isinstance(owed, Written)}

    def owe(self, owed: Owed) -> None:
        self._owed[owed.answer.claim] = owed

    def lose(self, claim: Claim, reason: str) -> None:
        """Nothing of it is left that could be answered: the next :meth:`settle` says so."""
        self._lost.append((claim, reason))
        self.forget(claim)

    def homeless(self, claim: Claim) -> bool:
        """Whether nothing of a claim that is held is on disk."""
        return claim in self._homeless

    def settle(self, only: Claim | None, limit: int | None, *, held: Collection[Claim], last: bool) -> Settled:
        """Write and publish.

        :param only: nothing but the answer to this.
        :param limit: how many to try at most, those first that were not tried for the longest time.
        :param held: all claims that are held: they are lost with ``.nectar``, and their answers are not.
        :param last: whether what is not on disk after this never will be.
        """
        settled = Settled([], self._lost, [])
        self._lost = []
        claims = [*islice(self._owed, limit)] if only is None else [only] if only in self._owed else []
        if not claims:
            return settled
        try:
            missing = self._missing(held)
        except OSError as error:
            if not last:
                settled.problems.append(error)
                return settled
            missing = error.strerror
        for claim in claims:
            answer = self._owed[claim].answer
            try:
                if missing is not None:
                    raise _MissingError(errno.ENOENT, missing)
                self._settle(claim)
            except OSError as error:
                reason = self._reason(claim, error, last=last)
                if reason is None:
                    settled.problems.append(error)
                    self._owed[claim] = self._owed.pop(claim)
                    continue
                settled.lost.append((claim, reason))
            else:
                settled.published.append((claim, answer.result.status))
            self.forget(claim)
        return settled

    def rehome(self, held: Collection[Claim]) -> None:
        """Make ``.nectar`` anew, which has been removed: what is held is answered without a claim on disk.

        :raises SpoolBusyError: another process was faster.
        :raises SpoolUnusableError: what is there now cannot be used.
        :raises OSError: it cannot be made now.
        """
        self._place.renew()
        for claim in held:
            match self._owed.get(claim):
                case Written(doubtful=True):  # it may be where it belongs
                    continue
                case Written(answer):
                    self._owed[claim] = Unwritten(answer)
            self._homeless.add(claim)

    def forget(self, claim: Claim) -> None:
        self._owed.pop(claim, None)
        self._homeless.discard(claim)
        self._missed.discard(claim)

    def _missing(self, held: Collection[Claim]) -> str | None:
        """Why ``.nectar`` is not in its place and cannot be; None where it is, perhaps only now."""
        standing = self._place.standing()
        if standing is Standing.REMOVED:
            try:
                self.rehome(held)
            except (SpoolBusyError, SpoolUnusableError) as error:
                return f".nectar was removed, and {error}"
        return ".nectar is not in its place any more" if standing is Standing.AWAY else None

    def _settle(self, claim: Claim) -> None:
        match self._owed[claim]:
            case Unwritten(answer):
                self._write(answer)
                self._homeless.discard(claim)
                self._owed[claim] = Written(answer)
            case Written(answer, doubtful):
                try:
                    self._require(claim)
                except _MissingError:
                    if doubtful:
                        return
                    raise
        try:
            os.rename(claim.name, claim.comp_id + COMPLETE, src_dir_fd=self._place.claims, dst_dir_fd=self._place.directory)
        except OSError:
            self._owed[claim] = Written(answer, doubtful=True)
            try:
                self._require(claim)
            except _MissingError:  # it was there just now, and nobody else publishes it
                return
            self._owed[claim] = Written(answer)
            raise

    def _reason(self, claim: Claim, error: OSError, *, last: bool) -> str | None:
        """Why an answer is lost, or None where it is to be tried again."""
        if not isinstance(error, _MissingError):
            self._missed.discard(claim)
            if not (last and claim in self._homeless):
                return None
        if self._place.gone:
            return "the directory was removed"
        if claim not in self._missed and not last:  # a name may be missing for a moment, or ``.nectar`` be about to be removed
            self._missed.add(claim)
            return None
        return error.strerror

    def _require(self, claim: Claim) -> None:
        try:
            os.stat(claim.name, dir_fd=self._place.claims, follow_symlinks=False)
        except FileNotFoundError:
            raise _MissingError(errno.ENOENT, "its claim was removed") from None

    def _write(self, answer: Answer) -> None:
        """Write an answer aside and put it in its claim's place."""
        claims = self._place.claims
        name = _write_aside(claims, answer.result.to_json(), answer.mode, answer.group)
        try:
            self._put(name, answer.claim)
        except BaseException:
            _remove(name, claims)
            raise

    def _put(self, name: str, claim: Claim) -> None:
        """Put what was written aside in a claim's place, and remove the question that was there."""
        claims = self._place.claims
        if self._place.exchanges and claim not in self._homeless:
            # On ext4 a fifth of what an answer costs here, and 4 KB that are written to the disk before anybody has read them.
            try:
                features.exchange(name, claim.name, claims)
            except FileNotFoundError:
                self._require(claim)
                raise
            _remove(name, claims)
            return
        if claim not in self._homeless:  # renaming onto a name that is gone would make one up
            self._require(claim)
        os.rename(name, claim.name, src_dir_fd=claims, dst_dir_fd=claims)


def copy_onto(claims: int, claim: Claim, content: Content) -> None:
    """Put a copy in the place of a question that is claimed: a file that nobody else has open.

    :param claims: descriptor of the directory of claims.
    :param content: of the question.
    :raises OSError: it is as it was.
    """
    status = content.status
    name = _write_aside(claims, content.raw, status.st_mode, status.st_gid)
    try:
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=claims, follow_symlinks=False)
        os.rename(name, claim.name, src_dir_fd=claims, dst_dir_fd=claims)
    except BaseException:
        _remove(name, claims)
        raise


def _write_aside(claims: int, data: bytes, mode: int, group: int) -> str:
    """Write what is to be put in a question's place, with the question's mode and its group.

    :returns: the name of the file; the next process removes what has it, where this one dies.
    """
    name = f"{make_token()}.answer"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=claims)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            _give(descriptor, mode, group)
        finally:
            os.close(descriptor)
    except BaseException:
        _remove(name, claims)
        raise
    return name


def _remove(name: str, claims: int) -> None:
    try:
        os.unlink(name, dir_fd=claims)
    except OSError:  # the next process removes it
        pass


def _give(descriptor: int, mode: int, group: int) -> None:
    """Have those read an answer who can read its question: a courtesy, while the answer is owed, and not every file system can."""
    try:
        if group != os.fstat(descriptor).st_gid:
            os.fchown(descriptor, -1, group)
    except OSError:
        pass
    try:
        os.fchmod(descriptor, (mode | 0o600) & 0o666)
    except OSError:
        pass
