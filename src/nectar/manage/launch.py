"""From a source to a handler that serves: environment, daemon, record, in that order, and nothing left of a try that failed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nectar import __version__, namelock
from nectar.errors import ConflictError, EnvironmentFailedError, NectarError, from_system
from nectar.home import check_name
from nectar.manage.daemon import given, stopping
from nectar.manage.daemon.assignment import Order, prepare
from nectar.manage.daemon.starting import Starting
from nectar.manage.environment import drift, store
from nectar.manage.handlers import attachments, handlers, keeping, registry, turns
from nectar.manage.handlers.registry import Record
from nectar.manage.source.source import recall, reopen
from nectar.manage.uv import configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Prepared
    from nectar.manage.environment.store import Environment
    from nectar.manage.handlers.turns import Attempt
    from nectar.manage.source.source import Source


class _StoppedInVainError(Exception):
    """A daemon was stopped for another one that then could not serve: ``why``."""

    def __init__(self, why: NectarError | OSError) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Launched:
    """A handler that serves.

    :ivar problems: for each alias that it cannot serve, why.
    """

    name: str
    record: Record
    problems: dict[str, str]


def launch(home: Home, name: str, order: Order, *, report: Callable[[str], None]) -> Launched:
    """Start a handler under a name that is not running.

    :param report: is told what is being done, where it takes a while.
    :returns: when a worker has loaded the handler and its daemon serves.
    :raises ConflictError: the name is running, or an alias has another handler.
    :raises NectarError: of each kind that a build or a daemon can fail with; registry and disk are as they were.
    """
    check_name(name)
    with turns.starting(home, name, report=report) as attempt:
        _require_stopped(home, name)
        attachments.check(home, handlers.records(home), order.aliases, name=name)
        order = replace(order, source=_with_kept_login(home, name, order.source))
        built = store.provide(home, order.source, report=report)
        return _serve(home, name, order, built, attempt)


def start(home: Home, name: str, *, report: Callable[[str], None]) -> Launched:
    """Start a stopped handler as it was launched, with its aliases.

    :raises NotFoundError: there is none of that name.
    :raises ConflictError: it runs.
    """
    handlers.require(home, name)
    with turns.starting(home, name, report=report) as attempt:
        return _as_launched(home, name, attempt, report=report)


def restart(home: Home, name: str, *, upgrade: bool, report: Callable[[str], None]) -> Launched:
    """Start a handler with its code, lock, Python and settings as they are now.

    One that runs is stopped only when the new one has loaded the handler, and the new one serves only when the old one has
    ended; so no question runs in both, and what fails before that leaves the old one as it was. What fails after that has
    the handler started again as it was before.

    :param upgrade: resolve anew what the project has no lock for.
    :raises NotFoundError: there is none of that name.
    """
    handlers.require(home, name)
    with turns.starting(home, name, report=report) as attempt:
        return _anew(home, name, attempt, upgrade=upgrade, report=report)


def _as_launched(home: Home, name: str, attempt: Attempt, *, report: Callable[[str], None]) -> Launched:
    record, kept = handlers.require(home, name), given.read(home, name)
    _require_stopped(home, name)
    source = recall(record.source, login=kept.login)
    built = store.unchanged(home, source, record.environment)
    if built is None:
        what = store.lost(home, record.environment)
        report(f"The environment of {name!r}{what}. It is built again, from the source as it is now.")
        return _anew(home, name, attempt, upgrade=False, report=report)
    order = Order(source=source, entry=record.asked_entry, settings=record.settings, given=kept, created=record.created)
    return _serve(home, name, order, built, attempt, chosen=(record.handler_name, record.entry))


def _anew(home: Home, name: str, attempt: Attempt, *, upgrade: bool, report: Callable[[str], None]) -> Launched:
    record, kept = handlers.require(home, name), given.read(home, name)
    source = reopen(record.source, login=kept.login)
    differing = configuration.differing(record.source.get("shell"), os.environ)
    for line in differing:
        report(line)
    try:
        built = store.provide(home, source, upgrade=upgrade, report=report)
    except EnvironmentFailedError as error:
        error.hint = " ".join(filter(None, [error.hint, *differing])) or None
        raise
    order = Order(source=source, entry=record.asked_entry, settings=record.settings, given=kept, created=record.created)
    try:
        return _serve(home, name, order, built, attempt, replaced=record)
    except _StoppedInVainError as failed:
        why = failed.why
    problem = why if isinstance(why, NectarError) else from_system(why)
    with suppress(NectarError, OSError):
        _as_launched(home, name, attempt, report=report)
    if namelock.is_running(home, name):
        problem.message += f" The handler {name!r} was stopped for a moment, and runs again as it was before."
    else:
        problem.message += f" The handler {name!r} was stopped for this, and does not run now."
        problem.hint = f"When that is mended: nectar start {name}"
    raise problem from why


def _serve(
    home: Home,
    name: str,
    order: Order,
    built: Environment,
    attempt: Attempt,
    *,
    chosen: tuple[str, str] | None = None,
    replaced: Record | None = None,
) -> Launched:
    """From an environment to a handler that serves.

    :param chosen: the entry point, where it is known.
    :param replaced: whose daemon, if it runs, is to be stopped in favour of this one.
    :raises _StoppedInVainError: it was stopped, and then this one could not serve.
    :raises ConflictError: a later command has stopped or removed the handler.
    """
    with drift.in_use(home, built.key):
        prepared = prepare(home, name, order, built, chosen=chosen)
        with Starting(prepared) as daemon:
            daemon.load(meanwhile=attempt.require_wanted)
            with attempt.taking():
                with _uninterrupted():
                    stopped = replaced is not None and stopping.stop(home, name, timeout=replaced.stop_timeout)
                    stopping.clear(home, name, timeout=prepared.settings.stop_timeout)
                    try:
                        daemon.take()
                        with (
                            keeping.kept(home, name, prepared.given),
                            _recorded(home, name, _record(prepared, daemon.pid), attempt) as written,
                        ):
                            daemon.serve()
                    except (NectarError, OSError) as error:
                        if stopped:
                            raise _StoppedInVainError(error) from error
                        raise
                problems = attachments.problems_of(home, name, written.attached_aliases)
    return Launched(name=name, record=written, problems=problems)


def _with_kept_login(home: Home, name: str, source: Source) -> Source:
    """A requirement as ``view`` shows it, with ``***``, together with the login that its handler has."""
    record = registry.read(home).get(name)
    if source.login or not source.requirement or record is None or record.source.get("requirement") != source.requirement:
        return source
    return replace(source, login=given.read(home, name).login)


def _record(prepared: Prepared, pid: int) -> Record:
    order, built, now = prepared.order, prepared.environment, time.time()
    return Record(
        status="running",
        desired="running",
        attached_aliases=order.aliases,
        handler=order.source.shown,
        source=order.source.to_mapping(),
        environment=built.key,
        python=str(built.python),
        entry=prepared.entry[1],
        handler_name=prepared.entry[0],
        asked_entry=order.entry,
        settings=order.settings,
        effective={key: value for key, value in prepared.settings.to_mapping().items() if key != "env"},
        pid=pid,
        started=now,
        created=now if order.created is None else order.created,
        version=__version__,
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold an interrupt back: what must not be left half done takes seconds at most."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _recorded(home: Home, name: str, record: Record, attempt: Attempt) -> Iterator[Record]:
    """Write a record, with the aliases that the name has by now; what it replaces comes back when the block fails."""
    with registry.changing(home) as records:
        before = records.get(name)
        attempt.require_unchanged(before)
        had, began_with = (() if each is None else each.attached_aliases for each in (before, attempt.begun))
        asked = tuple(alias for alias in record.attached_aliases if alias in had or alias not in began_with)  # else it was detached
        attachments.check(home, records, asked, name=name)
        written = record.but(attached_aliases=tuple(dict.fromkeys(had + asked)))
        if before is not None:
            written = written.but(other=before.other)
        records[name] = written
    try:
        yield written
    except BaseException:
        with registry.changing(home) as records:
            now = records.get(name)
            if now is None or now.started != written.started:  # it is another command's by now
                pass
            elif before is None:
                del records[name]
            else:
                left = tuple(alias for alias in now.attached_aliases if alias in had or alias not in asked)
                records[name] = before.but(attached_aliases=left)
        raise


def _require_stopped(home: Home, name: str) -> None:
    holder = namelock.find_holder(home, name)
    if holder is not None and not holder.robbed:
        known = "" if holder.pid is None else f" (PID {holder.pid})"
        end = (
            f"nectar stop {name}"
            if name in registry.read(home)
            else f"kill {holder.pid}, because there is no record of it any more"
        )
        raise ConflictError(f"The handler {name!r} is running{known}.", hint=f"First: {end}")
