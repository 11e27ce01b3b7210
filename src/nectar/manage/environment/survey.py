"""What a source is at this moment: its plan, what that holds, and the lock that is kept for it where it has none of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage.environment import resolution
from nectar.manage.source.plan import key_of, platform
from nectar.manage.tree.contents import Memory, place
from nectar.manage.uv import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nectar.home import Home
    from nectar.manage.source.plan import Plan
    from nectar.manage.source.source import Source
    from nectar.manage.tree.assembly import Seen

_ATTEMPTS = 4


@dataclass(frozen=True)
class Survey:
    """What was found.

    :ivar plan: with the lock that is kept for it, where the source has none.
    :ivar seen: what it holds.
    :ivar index: the digest of uv's settings.
    :ivar has_own_lock: whether the lock is the author's.
    """

    plan: Plan
    seen: Mapping[str, Seen]
    index: str
    has_own_lock: bool

    @property
    def digests(self) -> dict[str, str]:
        """The digests of a plan's parts (:meth:`nectar.manage.source.plan.Plan.digests`), of ``index`` and of ``platform``."""
        return {**self.plan.digests(self.seen), "index": self.index, "platform": platform()}

    @property
    def key(self) -> str | None:
        """The name of its environment; None where it must be resolved first."""
        return key_of(self.digests) if self.plan.has_lock else None

    @property
    def resolution(self) -> str:
        """By which its resolution is kept."""
        return resolution.key_of(self.plan.resolution_digest(self.seen), self.index)

    def with_lock(self, content: bytes) -> Survey:
        """The same with a lock."""
        plan = self.plan.with_lock(content)
        return replace(self, plan=plan, seen=plan.see_lock(self.seen))


def never_source(home: Home) -> tuple[Path, ...]:
    """What of the disk is no handler's source, wherever it lies."""
    return (home.data_dir, home.nectar)


def survey(home: Home, source: Source, environ: Mapping[str, str], *, trusting: bool = True, upgrade: bool = False) -> Survey:
    """Look at a source. What its large files hold is remembered for the next command, and its kept lock counts as used.

    :param trusting: go by what is remembered.
    :param upgrade: without a kept lock.
    :raises EnvironmentFailedError: what the source is cannot be said.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            plan, memory = source.plan(but=never_source(home)), Memory(place(home, source.path), trusting=trusting)
            found = Survey(
                plan, plan.tree.see(memory.look), configuration.digest(environ, above=plan.asked.settings), plan.has_lock
            )
            break
        except OSError as error:
            if isinstance(error, FileNotFoundError) and left:
                continue  # an editor replaces a file by removing it
            raise EnvironmentFailedError(
                f"The handler's source cannot be read: {error.strerror or error}.",
                where=str(error.filename or source.path),
            ) from error
    kept = None if found.has_own_lock or upgrade else resolution.use(home, found.resolution)
    memory.keep()
    return found if kept is None else found.with_lock(kept)
