"""``handlers.json``: which handlers there are, what was launched, and which aliases each answers for.

The file is the truth about attachments. Nodes read it at any moment and without a lock, so it is only ever replaced whole; it is
changed only under a lock, so two commands at once lose nothing. What another version, or another program, wrote into it stays: a
record with a ``schema`` above ours is shown, and is a newer nectar's to change.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from nectar import ownership
from nectar.errors import ConflictError, NectarError, NewerError, UnknownNameError, UnresponsiveError
from nectar.frozen import dataclass, field, replace
from nectar.home import NAME_PATTERN
from nectar.locks import Busy, hold
from nectar.manage.files.writing import write_whole
from nectar.manage.uv.logins import redact
from nectar.manage.wall.grants import Grants
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.home import Home

Status = Literal["running", "stopped"]

SCHEMA = 2
"""Of the file, and of each record: the newest that is known here. The first stands in neither. A record of the second has a wall, of
which who knows the first alone would take it away."""

LOCK_TIMEOUT = 30.0
"""Seconds to wait for another command that is changing the registry."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of one handler.

    :ivar status: what the last command found or made; the daemon's lock decides.
    :ivar desired: what its operator asked for.
    :ivar attached_aliases: the aliases that it answers for, in the order of attaching.
    :ivar handler: what was launched, as a person calls it: an absolute path, or a requirement.
    :ivar source: what it was built from, as :mod:`nectar.manage.source.source` writes it down.
    :ivar environment: the key of its virtual environment.
    :ivar python: that environment's interpreter.
    :ivar entry: the entry point's value.
    :ivar handler_name: the entry point's name.
    :ivar asked_entry: the name that ``--handler`` gave.
    :ivar settings: what flags of ``launch`` gave.
    :ivar sandbox: what its operator grants it behind a wall, as :class:`nectar.manage.wall.grants.Grants` writes it down; None where it
        runs without one.
    :ivar effective: those together with the project's own, as the daemon that was started last was told; no variables.
    :ivar pid: the daemon's, while it runs.
    :ivar started: Unix seconds, of the daemon that runs or ran last.
    :ivar created: Unix seconds of the launch.
    :ivar version: nectar's, at the start.
    :ivar other: fields that this version does not know.
    """

    status: Status = "stopped"
    desired: Status = "stopped"
    attached_aliases: tuple[str, ...] = ()
    handler: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    environment: str = ""
    python: str = ""
    entry: str = ""
    handler_name: str = ""
    asked_entry: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    sandbox: dict[str, Any] | None = None
    effective: dict[str, Any] = field(default_factory=dict)
    pid: int | None = None
    started: float | None = None
    created: float | None = None
    version: str = ""
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def is_newer(self) -> bool:
        """Whether a newer nectar wrote it, and its fields may mean what this one does not know."""
        return _is_newer(self.other)

    @property
    def is_down(self) -> bool:
        """Whether it should run, and does not."""
        return (self.desired, self.status) == ("running", "stopped")

    @property
    def wall(self) -> Grants | None:
        """What it may have behind its wall, where it has one."""
        return None if self.sandbox is None else Grants.from_mapping(self.sandbox)

    @property
    def stop_timeout(self) -> float:
        """Seconds that its computations get to finish."""
        seconds = self.effective.get("stop_timeout")
        return float(seconds) if isinstance(seconds, (int, float)) else Settings().stop_timeout

    @classmethod
    def from_mapping(cls, fields: dict[str, Any]) -> Record:
        """Read one record; a field that is missing, or of a type that this version does not know, has its default."""
        known = {name: fields[name] for name, kinds in _KINDS.items() if name in fields and type(fields[name]) in kinds}
        aliases = [alias for alias in known.pop("attached_aliases", ()) if isinstance(alias, str)]
        for name in ("status", "desired"):
            known[name] = "running" if known.get(name, fields.get("status")) == "running" else "stopped"
        if "handler" in known:
            known["handler"] = redact(known["handler"])  # 0.1.0 kept a login in it
        if fields.get("sandbox") not in (None, False):  # whatever stands there: a wall was asked for
            known.setdefault("sandbox", {})
        other = {name: value for name, value in fields.items() if name not in _KINDS and (name, value) != ("schema", SCHEMA)}
        return cls(**known, attached_aliases=tuple(aliases), other=other)

    def to_mapping(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in _KINDS}
        schema = {} if self.sandbox is None else {"schema": SCHEMA}
        return {**own, "attached_aliases": list(self.attached_aliases), **schema, **self.other}

    def to_show(self) -> dict[str, Any]:
        """The same for anybody's eyes."""
        source = {name: redact(value) if isinstance(value, str) else value for name, value in self.source.items()}
        shown = {**self.to_mapping(), "source": source}
        shown.pop("schema", None)  # what is shown has its own
        return shown

    def but(self, **changes: Any) -> Record:
        """The same record with some fields changed."""
        return replace(self, **changes)


_NONE = type(None)
_KINDS: dict[str, tuple[type, ...]] = {
    "status": (str,),
    "desired": (str,),
    "attached_aliases": (list,),
    "handler": (str,),
    "source": (dict,),
    "environment": (str,),
    "python": (str,),
    "entry": (str,),
    "handler_name": (str,),
    "asked_entry": (str, _NONE),
    "settings": (dict,),
    "sandbox": (dict, _NONE),
    "effective": (dict,),
    "pid": (int, _NONE),
    "started": (int, float, _NONE),
    "created": (int, float, _NONE),
    "version": (str,),
}


_DECODER = json.JSONDecoder()
_ENTRY = re.compile(r'^ {0,2}("(?:[^"\\\n]|\\.)*"):\s*(?=\{)', re.MULTILINE)
"""Where an entry begins in the file as it is written here."""


def read(home: Home) -> dict[str, Record]:
    """The records by name, in the order in which the handlers were first launched.

    An entry whose name nectar could not have given, or that is no object, is not shown; it stays in the file.

    :raises NectarError: the file is there and cannot be read.
    """
    return {name: Record.from_mapping(fields) for name, fields in _load(home).items() if _ours(name, fields)}


def require(home: Home, name: str) -> Record:
    """One handler's record.

    :raises UnknownNameError: there is none.
    """
    record = read(home).get(name)
    if record is None:
        raise missing(name)
    return record


def refuse_newer(home: Home, name: str) -> None:
    """:raises NewerError: there is a record of that name that only a newer nectar may change."""
    record = read(home).get(name)
    if record is not None and record.is_newer:
        raise newer(home, name)


def newer(home: Home, name: str) -> NewerError:
    return NewerError(f"The record of {name!r}", where=str(home.registry))


def missing(name: str) -> UnknownNameError:
    return UnknownNameError("handler", name, hint="nectar view lists the handlers.")


def find_owner(records: dict[str, Record], alias: str, *, other_than: str | None = None) -> str | None:
    """The name of the handler that an alias is attached to, where that is another one."""
    return next((name for name, record in records.items() if name != other_than and alias in record.attached_aliases), None)


def require_free(records: dict[str, Record], aliases: tuple[str, ...], *, name: str) -> None:
    """One handler per alias.

    :raises ConflictError: one of the aliases has another handler, running or stopped.
    """
    for alias in aliases:
        owner = find_owner(records, alias, other_than=name)
        if owner is not None:
            raise ConflictError(
                f"The alias {alias!r} has a handler already: {owner!r}.",
                hint=f"First: nectar detach {owner} {alias}",
            )


@contextmanager
def change(home: Home) -> Iterator[dict[str, Record]]:
    """The records, to change in place; they are written when the block ends without an exception, and only if they changed.

    :raises UnresponsiveError: another command holds the registry for longer than :data:`LOCK_TIMEOUT`.
    :raises NewerError: a record that was changed is one of a newer nectar; nothing is written.
    :raises NectarError: the file cannot be read; it is left as it is.
    """
    home.create()
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(home.registry_lock, seconds=LOCK_TIMEOUT))
        except Busy:
            raise UnresponsiveError(
                "Another command has been changing the registry for too long.", where=str(home.registry_lock)
            ) from None
        raw = _load(home)
        before = {name: Record.from_mapping(fields) for name, fields in raw.items() if _ours(name, fields)}
        records = dict(before)
        yield records
        if records == before:
            return
        for name, record in before.items():
            if record.is_newer and records.get(name) != record:
                raise newer(home, name)
        kept = {name: value for name, value in raw.items() if name in records or name not in before}
        kept |= {name: record.to_mapping() for name, record in records.items() if record != before.get(name)}
        if raw:
            write_whole(home.registry_before, json.dumps(raw, indent=2).encode() + b"\n")
        write_whole(home.registry, json.dumps(kept, indent=2).encode() + b"\n", synced=True)


def salvage(home: Home) -> dict[str, Record]:
    """What can be read of a registry that is broken, as whoever damaged it by hand left it: each entry that is whole by itself."""
    try:
        text = ownership.read(home.registry).decode(errors="replace")
    except FileNotFoundError:
        return {}
    found = {}
    for entry in _ENTRY.finditer(text):
        with suppress(ValueError, RecursionError):
            name, (fields, _) = json.loads(entry[1]), _DECODER.raw_decode(text, entry.end())
            if _ours(name, fields):
                found[name] = Record.from_mapping(fields)
    return found


def _load(home: Home) -> dict[str, Any]:
    try:
        text = ownership.read(home.registry).decode()
    except FileNotFoundError:
        if home.registry_before.exists():  # it is only ever replaced, and stays where no handler is left
            raise _broken(home, "it was removed") from None
        return {}
    except UnicodeDecodeError:
        raise _broken(home, "it is not UTF-8") from None
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(home, str(error) or "nested too deeply") from None
    if not isinstance(loaded, dict):
        raise _broken(home, "it is not a JSON object")
    if _is_newer(loaded):
        raise NewerError("The registry of handlers", where=str(home.registry))
    return loaded


def _broken(home: Home, why: str) -> NectarError:
    kept = home.registry_before.exists()
    cure = f"as it was before its last change: cp {home.registry_before} {home.registry}" if kept else "move it away"
    return NectarError(
        f"The registry of handlers is broken ({why}). It was left as it is.",
        where=str(home.registry),
        hint=f"Handlers that run go on running. Mend it, or {cure}",
    )


def _is_newer(fields: dict[str, Any]) -> bool:
    return type(fields.get("schema")) is int and fields["schema"] > SCHEMA


def _ours(name: str, fields: object) -> bool:
    return isinstance(fields, dict) and NAME_PATTERN.fullmatch(name) is not None
