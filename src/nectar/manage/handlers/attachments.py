"""Which handler answers for which alias: one handler per alias, many aliases per handler."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nectar.errors import ConflictError, NectarError, NotFoundError, UnresponsiveError
from nectar.home import CLAIMS
from nectar.locks import is_free
from nectar.manage.handlers import handlers, registry, turns
from nectar.manage.waits import wait
from nectar.protocol import ask
from nectar.spool.approach import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home

SYNC_TIMEOUT = 15.0
"""Seconds for a daemon to attach and detach, beyond what a computation that runs for a detached alias gets to finish."""
_AGAIN = 3.0
"""Seconds for which nobody may be at a daemon's socket: where it was removed, it is made anew."""
_BY_ITSELF = 5.0
"""Seconds for a daemon to let go of an alias that nobody could ask it to let go of, beyond what runs for it."""
_POLL = 0.1


def check(home: Home, records: dict[str, registry.Record], aliases: tuple[str, ...], *, name: str) -> None:
    """Whether a handler could be attached to all of these.

    :raises NotFoundError: one does not exist.
    :raises ConflictError: one has another handler, or its path leads through a link that is not to be followed.
    """
    for alias in aliases:
        look(home.require_alias(alias))
    registry.require_free(records, aliases, name=name)


def attach(home: Home, name: str, aliases: tuple[str, ...], *, report: Callable[[str], None]) -> None:
    """Attach a running handler to all of these aliases, or to none; those that it has already stay.

    :param report: is told when another command has to be waited for.
    :raises NotFoundError: there is no such handler, or no such alias.
    :raises ConflictError: it does not run, or an alias has another handler.
    :raises UnresponsiveError: its daemon does not answer.
    """
    try:
        handlers.require_running(home, name)
    except ConflictError:
        if not turns.is_taken(home, name):
            raise
        with turns.take(home, name, report=report):  # another daemon is about to take its place
            pass
        handlers.require_running(home, name)
    new: tuple[str, ...] = ()
    try:
        with registry.change(home) as records:
            if name not in records:
                raise registry.missing(name)
            check(home, records, aliases, name=name)
            had = records[name].attached_aliases
            new = tuple(alias for alias in dict.fromkeys(aliases) if alias not in had)
            records[name] = records[name].but(attached_aliases=had + new)
        try:
            found = _told(home, name, report=report)
        except UnresponsiveError:
            handlers.require_running(home, name)
            raise
        for alias in aliases:
            if alias in found:
                raise ConflictError(f"{name!r} cannot answer for {alias!r}: {found[alias]}", where=str(home.computations(alias)))
    except BaseException as error:
        if new:
            _remove(home, name, new)
            if not isinstance(error, UnresponsiveError | KeyboardInterrupt):  # who interrupts waits for no daemon
                _sync_quietly(home, name)
        raise


def detach(home: Home, name: str, aliases: tuple[str, ...], *, report: Callable[[str], None]) -> None:
    """Detach a handler, running or not, from all of these aliases, or from none; what waits there stays.

    When this returns, the handler answers for none of them any more: its daemon has said so, or has let go of their locks, which
    it also does when it cannot be asked.

    :param report: is told when another command has to be waited for.
    :raises NotFoundError: there is no such handler, or it is not attached to one of them.
    :raises UnresponsiveError: its daemon does neither; it is attached as before.
    """
    record = handlers.require(home, name)
    end = time.monotonic() + record.stop_timeout + _BY_ITSELF
    had: tuple[str, ...] = ()
    try:
        with registry.change(home) as records:
            if name not in records:
                raise registry.missing(name)
            had = records[name].attached_aliases
            for alias in aliases:
                if alias not in had:
                    owner = registry.find_owner(records, alias)
                    hint = f"Its aliases: {', '.join(had) or 'none'}." if owner is None else f"nectar detach {owner} {alias}"
                    raise NotFoundError(f"The handler {name!r} is not attached to {alias!r}.", hint=hint)
            records[name] = records[name].but(attached_aliases=tuple(alias for alias in had if alias not in aliases))
        if record.status != "running":
            return
        try:
            _told(home, name, report=report)
        except UnresponsiveError as error:
            _require_let_go(home, name, aliases, end=end, why=error)
    except BaseException:
        if had:
            _put_back(home, name, had, aliases)  # which a daemon that is not deaf sees within a second
        raise


def _require_let_go(home: Home, name: str, aliases: tuple[str, ...], *, end: float, why: UnresponsiveError) -> None:
    """Wait until nobody holds the aliases' locks.

    :param end: by :func:`time.monotonic`.
    """
    for alias in aliases:
        claims = home.computations(alias) / CLAIMS
        while not claims.is_symlink() and not is_free(claims):  # a link is a node's doing, and nobody holds one
            if time.monotonic() >= end:
                raise UnresponsiveError(
                    f"The handler {name!r} does not let go of {alias!r}, so it is attached as before. {why.message}",
                    where=why.where,
                    hint=f"nectar stop {name} ends also a daemon that hangs; then do this again.",
                )
            time.sleep(_POLL)


def _remove(home: Home, name: str, aliases: tuple[str, ...]) -> None:
    with registry.change(home) as records:
        if name in records:
            left = tuple(alias for alias in records[name].attached_aliases if alias not in aliases)
            records[name] = records[name].but(attached_aliases=left)


def _put_back(home: Home, name: str, had: tuple[str, ...], aliases: tuple[str, ...]) -> None:
    """Undo a detach, in the order that there was; what others have done meanwhile stays."""
    with registry.change(home) as records:
        if name in records:
            now = records[name].attached_aliases
            back = [alias for alias in aliases if registry.find_owner(records, alias, other_than=name) is None]
            again = [alias for alias in had if alias in now or alias in back]
            records[name] = records[name].but(attached_aliases=tuple(dict.fromkeys((*again, *now))))


def sync(home: Home, name: str) -> dict[str, Any]:
    """Have the daemon do what the registry says.

    :returns: what keeps it from answering for an alias, by alias.
    """
    timeout = registry.require(home, name).stop_timeout + SYNC_TIMEOUT
    with wait(f"Telling the daemon of {name!r}", seconds=timeout):
        problems = ask(home.socket(name), {"do": "sync"}, timeout=timeout).get("problems")
    return problems if isinstance(problems, dict) else {}


def sync_or_explain(home: Home, name: str, aliases: tuple[str, ...]) -> dict[str, Any]:
    """Why a handler that serves cannot answer for some of its aliases; that its daemon does not say so is a reason, too."""
    try:
        return sync(home, name) if aliases else {}
    except UnresponsiveError as error:
        return dict.fromkeys(aliases, error.message)


def _told(home: Home, name: str, *, report: Callable[[str], None]) -> dict[str, Any]:
    """The same as :func:`sync`, once more where another daemon is just taking its place."""
    end = time.monotonic() + _AGAIN
    while True:
        try:
            return sync(home, name)
        except UnresponsiveError:
            if turns.is_taken(home, name):
                with turns.take(home, name, report=report):
                    end = time.monotonic() + _AGAIN
            elif time.monotonic() >= end:
                raise
        time.sleep(_POLL)


def _sync_quietly(home: Home, name: str) -> None:
    try:
        sync(home, name)
    except NectarError:
        pass  # It also looks by itself, within a second.
