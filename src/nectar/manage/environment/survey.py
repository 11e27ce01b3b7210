"""What a source is at this moment: its plan, what that holds, and the lock that is kept for it where it has none of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.frozen import dataclass, replace
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


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What was found.

    :ivar plan: with the lock that is kept for it, where the source has none.
    :ivar seen: what it holds.
    :ivar index: the digest of uv's settings.
    :ivar resolution: by which its resolution is kept.
    :ivar digests: by part: a plan's (:meth:`nectar.manage.source.plan.Plan.digests`), ``index`` and ``platform``.
    :ivar key: the name of its environment; None where it must be resolved first.
    :ivar has_own_lock: whether the lock is the author's.
    """

    plan: Plan
    seen: Mapping[str, Seen]
    index: str
    resolution: str
    digests: Mapping[str, str]
    key: str | None
    has_own_lock: bool

    def with_lock(self, content: bytes) -> Survey:
        """The same with a lock."""
        plan = self.plan.with_lock(content)
        seen = plan.see_lock(self.seen)
        digests = {**self.digests, **plan.digests(seen)}
        return replace(self, plan=plan, seen=seen, digests=digests, key=key_of(digests))


def never_source(home: Home) -> tuple[Path, ...]:
    """What of the disk is no handler's source, wherever it lies."""
    return (home.data_dir, home.nectar)


def survey(
    home: Home, source: Source, environ: Mapping[str, str], *, walled: bool = False, trusting: bool = True, upgrade: bool = False
) -> Survey:
    """Look at a source. What its large files hold is remembered for the next command, and its kept lock counts as used.

    :param walled: whether it is for a build behind a wall.
    :param trusting: go by what is remembered.
    :param upgrade: without a kept lock.
    :raises EnvironmentFailedError: what the source is cannot be said.
    """
    memory = Memory(place(home, source.path), trusting=trusting)
    plan, seen, index = _look(source, never_source(home), memory, environ)
    has_own_lock, kept_by = plan.has_lock, resolution.key_of(plan.resolution_digest(seen), index, wheels=walled or source.no_build)
    kept = None if has_own_lock or upgrade else resolution.use(home, kept_by)
    memory.keep()
    if kept is not None:
        plan = plan.with_lock(kept)
        seen = plan.see_lock(seen)
    digests = {**plan.digests(seen), "index": index, "platform": platform()}
    return Survey(
        plan=plan,
        seen=seen,
        index=index,
        resolution=kept_by,
        digests=digests,
        key=key_of(digests) if plan.has_lock else None,
        has_own_lock=has_own_lock,
    )


def _look(
    source: Source, but: tuple[Path, ...], memory: Memory, environ: Mapping[str, str]
) -> tuple[Plan, Mapping[str, Seen], str]:
    for left in reversed(range(_ATTEMPTS)):
        try:
            plan = source.plan(but=but)
            return plan, plan.tree.see(memory.look), configuration.digest(environ, above=plan.asked.settings)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and left:
                continue  # an editor replaces a file by removing it
            raise EnvironmentFailedError(
                f"The handler's source cannot be read: {error.strerror or error}.",
                where=str(error.filename or source.path),
            ) from error
    raise AssertionError
