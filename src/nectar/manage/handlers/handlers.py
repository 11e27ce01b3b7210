"""The handlers of a data dir: which there are, whether they run, and how one is stopped."""

from __future__ import annotations

import functools
from contextlib import suppress
from typing import TYPE_CHECKING

from nectar import address, namelock, processes
from nectar.errors import ConflictError, NectarError, NewerError
from nectar.manage.daemon import stopping
from nectar.manage.handlers import keeping, registry, turns
from nectar.protocol import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nectar.home import Home
    from nectar.manage.handlers.registry import Record

HASTENING = 2.0
"""Seconds for a daemon that another command stops to hear of a shorter time."""


def refresh(home: Home) -> dict[str, Record]:
    """All handlers by name, with ``status`` and ``pid`` as the locks say; where the registry said otherwise it is corrected.

    Secrets that a command left when it was killed are removed.
    """
    found = registry.read(home)
    keeping.sweep(home)

    def correct(records: Mapping[str, Record]) -> dict[str, Record]:
        living = functools.cache(lambda: _find_living(home, records))  # asked only where a lock is free
        return {name: _corrected(home, name, record, living) for name, record in records.items()}

    corrected = correct(found)
    if all(corrected[name] == record or record.is_newer for name, record in found.items()):
        return corrected
    try:
        with registry.change(home) as current:
            corrected = correct(current)
            current |= {name: record for name, record in corrected.items() if not record.is_newer}
    except OSError:  # a full disk: what is true can be told all the same
        pass
    return corrected


def see(home: Home) -> tuple[dict[str, Record], NectarError | None]:
    """All handlers that can be seen, to show them, and why those are not all: somebody has damaged the registry by hand."""
    try:
        return refresh(home), None
    except NewerError:
        raise
    except NectarError as error:
        records = registry.salvage(home)
        living = functools.cache(lambda: _find_living(home, records))
        return {name: _corrected(home, name, record, living) for name, record in records.items()}, error


def look(home: Home, name: str) -> Record:
    """One handler, its status as its lock says, to show it.

    :raises NotFoundError: there is none of that name.
    """
    found = refresh(home)
    if name not in found:
        raise registry.missing(name)
    return found[name]


def require(home: Home, name: str) -> Record:
    """The same, to do something with it.

    :raises NewerError: its record is a newer nectar's.
    """
    record = look(home, name)
    if record.is_newer:
        raise registry.newer(home, name)
    return record


def require_known(home: Home, name: str) -> None:
    """:raises NotFoundError: there is no handler of that name, and none is being launched.
    :raises NewerError: its record is a newer nectar's.
    """
    registry.refuse_newer(home, name)
    if not turns.is_being_started(home, name):
        registry.require(home, name)


def require_running(home: Home, name: str) -> Record:
    """:raises ConflictError: it does not run."""
    record = require(home, name)
    if record.status != "running":
        what = "should run, and does not" if record.is_down else "is not running"
        raise ConflictError(f"The handler {name!r} {what}.", hint=f"nectar start {name}")
    return record


def stop(home: Home, name: str, *, timeout: float | None = None, report: Callable[[str], None]) -> None:
    """Stop a handler, and whoever is starting it; its record and its attachments stay.

    :param timeout: seconds for what runs to finish; None takes its ``stop_timeout``.
    :param report: is told when another command has to be waited for.
    :raises ConflictError: it was not running, and nobody expected it to.
    """
    require_known(home, name)

    def hasten(text: str) -> None:
        report(text)
        if timeout is not None:  # which may be shorter than that of whoever has the turn
            with suppress(NectarError):
                ask(home.socket(name), {"do": "stop", "timeout": timeout}, timeout=HASTENING)

    with turns.take(home, name, report=hasten):
        overruled = turns.overrule(home, name)
        record = refresh(home).get(name)
        if record is None:
            if not overruled:
                raise registry.missing(name)
            return
        if not overruled and record.status != "running" and record.desired != "running":
            raise ConflictError(f"The handler {name!r} is not running.", hint="nectar view shows which handlers run.")
        _stop(home, name, record.stop_timeout if timeout is None else timeout)


def _stop(home: Home, name: str, timeout: float) -> None:
    left: dict[str, object] = {"status": "stopped", "pid": None}
    try:
        _update(home, name, desired="stopped")
    except OSError:  # on a full disk it is stopped all the same, and then the record is tried again
        left["desired"] = "stopped"
    stopping.stop(home, name, timeout=timeout)
    try:
        _update(home, name, **left)
    except OSError as error:
        raise NectarError(
            f"The handler {name!r} was stopped, and that could not be written down: {error.strerror}.",
            where=str(home.registry),
            hint=f"When it can be written again: nectar stop {name}",
        ) from None


def remove(home: Home, name: str, *, stop_first: bool = False, report: Callable[[str], None]) -> None:
    """Forget a stopped handler: its record with its attachments, its variables, log and socket.

    :param stop_first: stop it where it runs, and whoever is starting it.
    :param report: is told when another command has to be waited for.
    :raises ConflictError: it runs, or is being started.
    """
    require_known(home, name)
    with turns.take(home, name, report=report):
        if not stop_first and turns.is_being_started(home, name):
            raise ConflictError(f"The handler {name!r} is being started.", hint=f"nectar stop {name}, or remove it with --stop.")
        overruled = turns.overrule(home, name)
        record = refresh(home).get(name)
        if record is None and not overruled:
            raise registry.missing(name)
        if record is not None and record.status == "running":
            if not stop_first:
                raise ConflictError(f"The handler {name!r} is running.", hint=f"nectar stop {name}, or remove it with --stop.")
            _stop(home, name, record.stop_timeout)
        _forget(home, name)


def _forget(home: Home, name: str) -> None:
    with namelock.keep_free(home, name) as free:
        if not free:
            raise ConflictError(f"The handler {name!r} has just been started.", hint="nectar view shows it.")
        with keeping.forget(home, name), registry.change(home) as current:
            current.pop(name, None)
        logs = [path.with_name(f"{path.name}{end}") for path in (home.log(name), home.events(name)) for end in ("", ".1")]
        socket = home.socket(name)
        left = (socket, address.aside(socket), *logs, home.history(name), home.start(name), home.turn(name))
        # The lock goes last: who holds it then sees that it is no longer the one with the name.
        for path in (*left, home.lock(name)):
            path.unlink(missing_ok=True)


def _update(home: Home, name: str, **changes: object) -> None:
    with registry.change(home) as current:
        if name in current:
            current[name] = current[name].but(**changes)


def _find_living(home: Home, names: Iterable[str]) -> dict[str, set[int]]:
    return processes.daemons({mark for name in names for mark in processes.marks(home.data_dir, name)})


def _corrected(home: Home, name: str, record: Record, living: Callable[[], Mapping[str, set[int]]]) -> Record:
    holder = namelock.find_holder(home, name, living=living)
    if holder is None:
        return record.but(status="stopped", pid=None)
    if record.status == "running" and holder.pid in (None, record.pid):  # None: it has not said yet who it is
        return record
    return record.but(status="running", pid=holder.pid, started=record.started if holder.robbed else holder.started)
