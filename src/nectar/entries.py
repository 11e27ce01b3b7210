"""A project's entry points: the groups that they are in, and which one is meant."""

from __future__ import annotations

from nectar.errors import UsageError
from nectar.protocol import EntryPoint

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP = "nectar.handlers"
PLUGINS = "nectar.plugins"


def choose(entries: Sequence[EntryPoint], name: str | None, *, where: str, way: str, example: str) -> EntryPoint:
    """The one to load.

    :param name: which a person gave; None is the only one.
    :param where: the distribution's name.
    :param way: by what a person gives one, and ``example`` how, with ``{}`` for the name: both for the hint.
    :raises UsageError: there is none of that name, or there are several and none was named.
    """
    named = {entry.name: entry for entry in entries}
    listed = ", ".join(sorted(named)) or "none"
    if name is not None:
        if name in named:
            return named[name]
        raise UsageError(f"There is no entry point {name!r}.", where=where, hint=f"There are: {listed}.")
    if len(named) == 1:
        return entries[0]
    raise UsageError(
        f"The handler's project has {len(named)} entry points: {listed}.",
        where=where,
        hint=f"Choose one with {way}, as in {example.format(min(named))}." if named else "Declare one in its pyproject.toml.",
    )
