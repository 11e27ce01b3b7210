"""From a source to a handler that serves: environment, daemon, record, in that order, and nothing left of a try that failed."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from nectar import namelock
from nectar.errors import ConflictError, EnvironmentFailedError, NectarError, from_system
from nectar.frozen import replace
from nectar.home import check_name
from nectar.manage.daemon import given
from nectar.manage.daemon.assignment import Order, prepare
from nectar.manage.environment import drift, store, trials
from nectar.manage.handlers import attachments, granted, handlers, registry, turns
from nectar.manage.handlers.granted import NotGrantedError
from nectar.manage.handlers.takeover import Takeover
from nectar.manage.source.source import recall, reopen
from nectar.manage.uv import configuration
from nectar.protocol import EntryPoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Prepared
    from nectar.manage.daemon.given import Given
    from nectar.manage.handlers.registry import Record
    from nectar.manage.handlers.takeover import Launched
    from nectar.manage.handlers.turns import Attempt
    from nectar.manage.source.source import Source


def launch(home: Home, name: str, order: Order, *, replace_running: bool = False, report: Callable[[str], None]) -> Launched:
    """Start a handler under a name. One of that name that is there already is replaced, and leaves its aliases.

    :param replace_running: also one that runs: as with :func:`restart`, it is stopped only when the new one has loaded the handler.
    :param report: is told what is being done, where it takes a while, and what is replaced.
    :returns: when a worker has loaded the handler and its daemon serves.
    :raises ConflictError: the name is running, or an alias has another handler, or the record is a newer nectar's.
    :raises NectarError: of each kind that a build or a daemon can fail with; registry and disk are as they were.
    """
    check_name(name)
    home.create()
    registry.refuse_newer(home, name)
    with turns.begin(home, name, report=report) as attempt:
        if not replace_running:
            _require_stopped(home, name, "; or have it replaced: --replace")
        records = handlers.refresh(home)
        attachments.check(home, records, order.aliases, name=name)
        replaced = records.get(name)
        if replaced is not None:
            report(_tell_replaced(name, replaced, order))
        order = order._replace(source=_with_kept_login(home, name, order.source))
        order = granted.check(home, name, order)
        with store.use(home, order.source, walled=order.wall is not None, report=report) as built:
            prepared = prepare(home, name, order, built)
            return _take_over(home, name, prepared, attempt, replaced if replace_running else None, report=report)


def start(home: Home, name: str, *, decided: bool = False, report: Callable[[str], None]) -> Launched:
    """Start a stopped handler as it was launched, with its aliases.

    :param decided: whether that it has no wall, where it has none, is what its operator wants, whatever the shell says.
    :raises NotFoundError: there is none of that name.
    :raises ConflictError: it runs, or has no wall and the shell wants one for every handler.
    """
    record = _require_recorded(home, name)
    if not decided:
        granted.require_wall(name, record, "start", os.environ)
    with turns.begin(home, name, report=report) as attempt:
        return _as_launched(home, name, attempt, report=report)


def revive(home: Home, name: str, *, report: Callable[[str], None]) -> Launched | None:
    """Start a handler that should run and does not, as it was launched, with its aliases.

    :returns: None where it runs by now, or should not run any more.
    """
    registry.refuse_newer(home, name)
    with turns.begin(home, name, report=report) as attempt:
        record = handlers.refresh(home).get(name)
        if record is None or not record.is_down:
            return None
        granted.require_wall(name, record, "start", os.environ)
        return _as_launched(home, name, attempt, report=report)


def restart(home: Home, name: str, *, upgrade: bool, allow: Iterable[str] = (), report: Callable[[str], None]) -> Launched:
    """Start a handler with its code, lock, Python and settings as they are now.

    One that runs is stopped only when the new one has loaded the handler, and the new one serves only when the old one has
    ended; so no question runs in both, and what fails before that leaves the old one as it was. What fails after that has
    the handler started again as it was before.

    :param upgrade: resolve anew what the project has no lock for.
    :param allow: what it is granted beside what it has, as flags say it.
    :raises NotFoundError: there is none of that name.
    :raises ConflictError: it needs what it is not granted, or has no wall and the shell wants one for every handler.
    """
    granted.require_wall(name, _require_recorded(home, name), "restart", os.environ)
    with turns.begin(home, name, report=report) as attempt:
        return _anew(home, name, attempt, upgrade=upgrade, allow=allow, report=report)


def _as_launched(home: Home, name: str, attempt: Attempt, *, report: Callable[[str], None]) -> Launched:
    record, kept = handlers.require(home, name), given.read(home, name)
    _require_stopped(home, name)
    drift.refuse_newer(home, name, record.environment)
    built = store.find_unchanged(home, record.environment)
    if built is None:
        what = store.explain_loss(home, record.environment)
        report(f"The environment of {name!r}{what}. It is built again, from the source as it is now.")
        return _anew(home, name, attempt, upgrade=False, report=report)
    source = replace(recall(record.source, login=kept.login), settings=built.settings)
    order = _check(home, name, _as_recorded(record, source, kept))
    chosen = EntryPoint(record.handler_name, record.entry)
    with drift.keep_in_use(home, built.key):
        trials.forget(home, built.key)
        return Takeover(home, name, prepare(home, name, order, built, chosen=chosen), attempt).run()


def _anew(
    home: Home, name: str, attempt: Attempt, *, upgrade: bool, allow: Iterable[str] = (), report: Callable[[str], None]
) -> Launched:
    record, kept = handlers.require(home, name), given.read(home, name)
    source = reopen(record.source, login=kept.login)
    differing = configuration.compare(record.source.get("shell"), os.environ)
    for line in differing:
        report(line)
    order = _check(home, name, _as_recorded(record, source, kept)._replace(wall=granted.add(record, source, allow)))
    with ExitStack() as stack:
        try:
            built = stack.enter_context(
                store.use(home, order.source, upgrade=upgrade, walled=order.wall is not None, report=report)
            )
        except EnvironmentFailedError as error:
            error.hint = " ".join(filter(None, [error.hint, *differing])) or None
            raise
        return _take_over(home, name, prepare(home, name, order, built), attempt, record, report=report)


def _check(home: Home, name: str, order: Order) -> Order:
    """As :func:`nectar.manage.handlers.granted.check`, of a handler that is there."""
    try:
        return granted.check(home, name, order)
    except NotGrantedError as error:
        error.hint = f"If it may: nectar restart {name} {error.flags}"
        raise


def _as_recorded(record: Record, source: Source, kept: Given) -> Order:
    """The order that a handler was launched with, of a source."""
    return Order(
        source=source,
        entry=record.asked_entry,
        settings=record.settings,
        given=kept,
        wall=record.wall,
        created=record.created,
    )


def _take_over(
    home: Home, name: str, prepared: Prepared, attempt: Attempt, replaced: Record | None, *, report: Callable[[str], None]
) -> Launched:
    takeover = Takeover(home, name, prepared, attempt, replaced=replaced)
    try:
        return takeover.run()
    except (NectarError, OSError) as error:
        if not takeover.in_vain:
            raise
        why = error
    raise _put_back(home, name, attempt, why, report=report) from why


def _put_back(home: Home, name: str, attempt: Attempt, why: NectarError | OSError, *, report: Callable[[str], None]) -> NectarError:
    """Start a handler as it was before it was stopped in vain.

    :returns: why it was in vain, and what has become of the handler.
    """
    problem = why if isinstance(why, NectarError) else from_system(why)
    with suppress(NectarError, OSError):
        _as_launched(home, name, attempt, report=report)
    if namelock.is_running(home, name):
        problem.message += f" The handler {name!r} was stopped for a moment, and runs again as it was before."
    else:
        problem.message += f" The handler {name!r} was stopped for this, and does not run now."
        problem.hint = f"When that is mended: nectar start {name}"
    return problem


def _tell_replaced(name: str, record: Record, order: Order) -> str:
    runs = "which runs" if record.status == "running" else "which does not run"
    aliases = f"; its aliases stay: {', '.join(record.attached_aliases)}" if record.attached_aliases else ""
    wall = " That one has a wall, and this one has none." if record.wall is not None and order.wall is None else ""
    return f"It replaces the handler {name!r}, {runs}: {record.handler or '(unknown)'}{aliases}.{wall}"


def _with_kept_login(home: Home, name: str, source: Source) -> Source:
    """A requirement as ``view`` shows it, with ``***``, together with the login that its handler has."""
    record = registry.read(home).get(name)
    if source.login or not source.requirement or record is None or record.source.get("requirement") != source.requirement:
        return source
    return replace(source, login=given.read(home, name).login)


def _require_recorded(home: Home, name: str) -> Record:
    registry.refuse_newer(home, name)
    return registry.require(home, name)


def _require_stopped(home: Home, name: str, instead: str = "") -> None:
    # Where nobody holds the lock, there can only be one that was robbed of it: no reason to look through all processes.
    holder = namelock.find_holder(home, name) if namelock.is_running(home, name) else None
    if holder is not None and not holder.robbed:
        known = "" if holder.pid is None else f" (PID {holder.pid})"
        end = (
            f"nectar stop {name}{instead}"
            if name in registry.read(home)
            else f"kill {holder.pid}, because there is no record of it any more"
        )
        raise ConflictError(f"The handler {name!r} is running{known}.", hint=f"First: {end}")
