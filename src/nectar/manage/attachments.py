"""Which handler answers for which alias: one handler per alias, many aliases per handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nectar.errors import ConflictError, NectarError, NotFoundError
from nectar.manage import handlers, registry
from nectar.protocol import ask

if TYPE_CHECKING:
    from nectar.home import Home

SYNC_TIMEOUT = 30.0
"""Seconds for a daemon to attach and detach, beyond what a computation that runs for a detached alias gets to finish."""


def check(home: Home, records: dict[str, registry.Record], aliases: tuple[str, ...], *, name: str) -> None:
    """Whether a handler could be attached to all of these.

    :raises NotFoundError: one does not exist.
    :raises ConflictError: one has another handler.
    """
    for alias in aliases:
        home.require_alias(alias)
    registry.require_free(records, aliases, name=name)


def attach(home: Home, name: str, aliases: tuple[str, ...]) -> None:
    """Attach a running handler to all of these aliases, or to none; those that it has already stay.

    :raises NotFoundError: there is no such handler, or no such alias.
    :raises ConflictError: it does not run, or an alias has another handler.
    """
    handlers.require_running(home, name)
    new: tuple[str, ...] = ()
    try:
        with registry.changing(home) as records:
            if name not in records:
                raise registry.missing(name)
            check(home, records, aliases, name=name)
            had = records[name].attached_aliases
            new = tuple(alias for alias in dict.fromkeys(aliases) if alias not in had)
            records[name] = records[name].but(attached_aliases=had + new)
        problems = sync(home, name)
        for alias in aliases:
            if alias in problems:
                raise ConflictError(f"{name!r} cannot answer for {alias!r}: {problems[alias]}", where=str(home.computations(alias)))
    except BaseException:
        if new:
            _remove(home, name, new)
            _sync_quietly(home, name)
        raise


def detach(home: Home, name: str, aliases: tuple[str, ...]) -> None:
    """Detach a handler, running or not, from all of these aliases; what waits there stays.

    :raises NotFoundError: there is no such handler, or it is not attached to one of them.
    """
    record = handlers.require(home, name)
    with registry.changing(home) as records:
        if name not in records:
            raise registry.missing(name)
        had = records[name].attached_aliases
        for alias in aliases:
            if alias not in had:
                listed = ", ".join(had) or "none"
                raise NotFoundError(f"The handler {name!r} is not attached to {alias!r}.", hint=f"Its aliases: {listed}.")
        records[name] = records[name].but(attached_aliases=tuple(alias for alias in had if alias not in aliases))
    if record.status == "running":
        sync(home, name)


def _remove(home: Home, name: str, aliases: tuple[str, ...]) -> None:
    with registry.changing(home) as records:
        if name in records:
            left = tuple(alias for alias in records[name].attached_aliases if alias not in aliases)
            records[name] = records[name].but(attached_aliases=left)


def sync(home: Home, name: str) -> dict[str, Any]:
    """Have the daemon do what the registry says.

    :returns: what keeps it from answering for an alias, by alias.
    """
    timeout = handlers.stop_timeout(registry.require(home, name)) + SYNC_TIMEOUT
    problems = ask(home.socket(name), {"do": "sync"}, timeout=timeout).get("problems")
    return problems if isinstance(problems, dict) else {}


def _sync_quietly(home: Home, name: str) -> None:
    try:
        sync(home, name)
    except NectarError:
        pass  # It also looks by itself, within a second.
