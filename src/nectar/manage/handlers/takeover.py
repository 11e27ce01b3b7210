"""A new daemon takes a name: it loads, the old one is stopped, the new one takes, it is recorded, it serves."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from nectar import __version__
from nectar.manage.daemon import stopping
from nectar.manage.daemon.starting import Starting
from nectar.manage.handlers import attachments, keeping, registry
from nectar.manage.handlers.registry import Record
from nectar.manage.waits import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Prepared
    from nectar.manage.handlers.turns import Attempt


class Launched(NamedTuple):
    """A handler that serves.

    :ivar problems: for each alias that it cannot serve, why.
    :ivar warnings: what its worker says of how it runs.
    """

    name: str
    record: Record
    problems: dict[str, str]
    warnings: list[str]


class Takeover:
    """The steps after which a handler serves. Where one fails, those before it are undone, save the end of an old daemon.

    :param replaced: whose daemon, if it runs, is to be stopped in favour of this one.
    :ivar in_vain: whether one was, and this one does not serve: what is to be done then, the caller knows.
    """

    def __init__(self, home: Home, name: str, prepared: Prepared, attempt: Attempt, *, replaced: Record | None = None) -> None:
        self._home = home
        self._name = name
        self._prepared = prepared
        self._attempt = attempt
        self._replaced = replaced
        self.in_vain = False

    def run(self) -> Launched:
        """Go through all of them.

        :raises ConflictError: a later command has stopped or removed the handler.
        :raises NectarError, OSError: a step failed.
        """
        with Starting(self._prepared) as daemon:
            loaded = daemon.load(meanwhile=self._attempt.require_wanted)
            with self._attempt.take_turn():
                # What is kept comes first: where there is no room for it, the old daemon goes on.
                with uninterrupted(), keeping.keep(self._home, self._name, self._prepared.given):
                    self._stop()
                    daemon.take()
                    with self._recorded(daemon.pid) as written:
                        daemon.serve()
                        self.in_vain = False
                problems = attachments.sync_or_explain(self._home, self._name, written.attached_aliases)
        return Launched(name=self._name, record=written, problems=problems, warnings=loaded["warnings"])

    def _stop(self) -> None:
        """End the old daemon, and those beside it; what they leave, the new one ends when it takes the name."""
        if self._replaced is None:
            stopping.end_robbed(self._home, self._name, timeout=self._prepared.settings.stop_timeout)
        else:
            self.in_vain = stopping.stop(self._home, self._name, timeout=self._replaced.stop_timeout)

    @contextmanager
    def _recorded(self, pid: int) -> Iterator[Record]:
        """Write the record; what it replaces comes back when the block fails."""
        with registry.change(self._home) as records:
            before = records.get(self._name)
            self._attempt.require_unchanged(before)
            asked = self._still_asked(before)
            attachments.check(self._home, records, asked, name=self._name)
            records[self._name] = written = _following(before, self._record(pid, asked))
        try:
            yield written
        except BaseException:
            self._unrecord(written, before)
            raise

    def _unrecord(self, written: Record, before: Record | None) -> None:
        """Put back what was there before; what other commands have changed since stays."""
        with registry.change(self._home) as records:
            now = records.get(self._name)
            if now is None or now.started != written.started:  # it is another command's by now
                return
            if before is None:
                del records[self._name]
                return
            added = set(written.attached_aliases).difference(before.attached_aliases)
            left = tuple(alias for alias in now.attached_aliases if alias not in added)
            records[self._name] = before.but(attached_aliases=left)

    def _still_asked(self, before: Record | None) -> tuple[str, ...]:
        """The aliases that were asked for, without those that were detached while this one was built and loaded."""
        had, began_with = (() if each is None else each.attached_aliases for each in (before, self._attempt.begun))
        return tuple(alias for alias in self._prepared.order.aliases if alias in had or alias not in began_with)

    def _record(self, pid: int, aliases: tuple[str, ...]) -> Record:
        prepared, order, now = self._prepared, self._prepared.order, time.time()
        return Record(
            status="running",
            desired="running",
            attached_aliases=aliases,
            handler=order.source.shown,
            source=order.source.to_mapping(),
            environment=prepared.environment.key,
            python=str(prepared.environment.python),
            entry=prepared.entry.value,
            handler_name=prepared.entry.name,
            asked_entry=order.entry,
            settings=dict(order.settings),
            sandbox=None if order.wall is None else order.wall.to_mapping(),
            effective={key: value for key, value in prepared.settings.to_mapping().items() if key != "env"},
            pid=pid,
            started=now,
            created=now if order.created is None else order.created,
            version=__version__,
        )


def _following(before: Record | None, record: Record) -> Record:
    """A record with the aliases that the one before it has, too, and with what other versions wrote into that."""
    if before is None:
        return record
    aliases = dict.fromkeys((*before.attached_aliases, *record.attached_aliases))
    return record.but(attached_aliases=tuple(aliases), other=before.other)
