"""Looks at all that lies in a directory, however much that is: a portion at a time, so that others have their turn in between.

Each is a generator that yields after a portion, and returns what it found. Several may go on at once.
"""

from __future__ import annotations

import heapq
import os
from itertools import islice

from nectar.api.computation import ComputationResult, InvalidQuestionError, NotWholeError
from nectar.frozen import NamedTuple
from nectar.spool.entries import COMPLETE, MAX_ANSWER, PENDING, NotAQuestionError, no_question, read

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

PORTION = 256
"""Entries that are looked at in one go: a millisecond or two."""
LOOKED_AT_ONCE = 32
"""Answers that may be read and removed in one go."""


class Listed(NamedTuple):
    """What a directory was found to have.

    :ivar questions: the oldest, by id, oldest first, each with when its inode was changed last, in nanoseconds.
    :ivar odd: what looks like a question and is none, as pairs of a file's name and a reason.
    :ivar more: whether there may be more questions than these.
    :ivar beyond: how many more there were.
    :ivar changed: when the inode of any of all the questions was changed last.
    """

    questions: dict[str, int]
    odd: list[tuple[str, str]]
    more: bool
    changed: int
    beyond: int = 0


def portions(directory: int) -> Iterator[list[os.DirEntry[str]]]:
    """What lies in a directory, given its descriptor."""
    # Of its own, because listings that share a descriptor share the place where they are.
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        with os.scandir(own) as entries:
            while portion := [*islice(entries, PORTION)]:
                yield portion
    finally:
        os.close(own)


def questions(directory: int, limit: int, known: Callable[[str], bool]) -> Generator[None, None, Listed]:
    """The questions that wait.

    :param limit: how many, at most.
    :param known: whether an id is of no interest.
    """
    oldest: list[tuple[int, str, int]] = []
    odd: list[tuple[str, str]] = []
    newest = beyond = 0
    for portion in portions(directory):
        for entry in portion:
            comp_id = entry.name.removesuffix(PENDING)
            if comp_id == entry.name or known(comp_id):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # it went away meanwhile
                continue
            if reason := no_question(comp_id, status):
                odd.append((entry.name, reason))
                continue
            newest = max(newest, status.st_ctime_ns)
            found = (-status.st_mtime_ns, comp_id, status.st_ctime_ns)
            if len(oldest) < limit:
                heapq.heappush(oldest, found)
            else:
                heapq.heappushpop(oldest, found)
                beyond += 1
        yield
    ordered = sorted(oldest, key=lambda found: (-found[0], found[1]))
    return Listed({comp_id: changed for _, comp_id, changed in ordered}, odd, len(oldest) == limit, newest, beyond)


def expire(directory: int, seconds: float, now: float) -> Generator[None, None, int]:
    """Remove answers of ours that nobody read.

    :param seconds: how long an answer stays.
    :param now: Unix seconds.
    :returns: how many were removed.
    """
    looked = removed = 0
    for portion in portions(directory):
        for entry in portion:
            if not entry.name.endswith(COMPLETE) or not entry.is_file(follow_symlinks=False):
                continue
            looked += 1
            removed += _remove_old(entry.name, directory, seconds, now)
            if looked % LOOKED_AT_ONCE == 0:
                yield
        yield
    return removed


def _remove_old(name: str, directory: int, seconds: float, now: float) -> bool:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        # The time of the answer's last rename, which is its publication, is that of the inode's last change.
        if now - max(status.st_mtime, status.st_ctime) < seconds:
            return False
        # Read only what can be ours: anybody can put many large files here, or one with many names.
        if status.st_uid != os.geteuid() or status.st_nlink > 1 or status.st_size > MAX_ANSWER:
            return False
        if ComputationResult.from_json(read(name, directory, MAX_ANSWER).raw).claim is None:
            return False
        os.unlink(name, dir_fd=directory)
    except (OSError, NotAQuestionError, NotWholeError, InvalidQuestionError):
        return False
    return True
