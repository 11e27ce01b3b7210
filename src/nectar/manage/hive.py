"""``hive.toml``: handlers with their aliases, settings and files of variables. ``up -f`` brings them up, ``export`` writes it.

What stands there of a handler is what ``launch`` is to be given, as a whole; but its aliases, and variables themselves, are only added
to those that it has. What does not stand there stays as it is.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from nectar.errors import EnvironmentFailedError, NectarError, NotFoundError, UsageError
from nectar.home import check_alias, check_name
from nectar.manage import launch, up
from nectar.manage.daemon import given
from nectar.manage.daemon.assignment import Order
from nectar.manage.daemon.given import Given
from nectar.manage.files import authored
from nectar.manage.handlers import attachments, granted, handlers, registry
from nectar.manage.handlers.granted import NotGrantedError
from nectar.manage.source.source import open_source
from nectar.settings import Settings, is_variable_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home
    from nectar.manage.handlers.registry import Record
    from nectar.manage.wall.grants import Grants

_KEYS: dict[str, tuple[type, str]] = {
    "source": (str, "a text"),
    "requirement": (str, "a text"),
    "extras": (list, "a list of texts"),
    "handler": (str, "a text"),
    "aliases": (list, "a list of texts"),
    "python": (str, "a text"),
    "python_downloads": (bool, "true or false"),
    "offline": (bool, "true or false"),
    "no_build": (bool, "true or false"),
    "build_env": (list, "a list of texts"),
    "env_files": (list, "a list of texts"),
    "env": (dict, "a table of names and texts"),
    "settings": (dict, "a table, as [tool.nectar]"),
    "sandbox": (bool, "true or false"),
    "allow": (list, "a list of texts"),
}
_ELSEWHERE = {"env": "[handlers.{}.env]", "extras": "extras = […] in [handlers.{}]"}
"""Settings that have a place of their own."""
_HEAD = "# What runs, as nectar export wrote it: nectar up -f brings it up.\n"


class Step(NamedTuple):
    """What is to be done for a handler.

    :ivar verb: ``launched``, ``replaced``, ``started`` or ``attached``; empty where there is nothing to do.
    :ivar why: what is otherwise than it should be, each in a few words.
    """

    name: str
    verb: str
    why: tuple[str, ...] = ()


def read(path: Path) -> dict[str, Order]:
    """What is asked for, by the handler's name; nothing is done. Paths are meant from where the file lies.

    :raises NotFoundError: the file, or a source, is not there.
    :raises UsageError: something in it is wrong; an unknown key is told with the nearest.
    """
    path = path.absolute()
    try:
        table = authored.read_toml(path)
    except EnvironmentFailedError as error:
        if not path.exists():
            raise NotFoundError("There is no such file.", where=str(path), hint="nectar export writes one of what runs.") from None
        raise UsageError(error.message, where=error.where, hint=error.hint) from None
    _require_known(table, ("handlers",), str(path))
    entries = table.get("handlers", {})
    if not isinstance(entries, dict):
        raise UsageError("'handlers' must be a table: [handlers.NAME].", where=str(path))
    orders = {name: _read_entry(path, name, entry) for name, entry in entries.items()}
    owners: dict[str, str] = {}
    for name, order in orders.items():
        for alias in order.aliases:
            if owners.setdefault(alias, name) != name:
                raise UsageError(f"The alias {alias!r} stands at both {owners[alias]!r} and {name!r}.", where=str(path))
    return orders


def plan(home: Home, name: str, order: Order) -> Step:
    """What is to be done for a handler to be as it is asked for.

    :raises NewerError: its record is a newer nectar's.
    """
    record = handlers.refresh(home).get(name)
    if record is None:
        return Step(name, "launched", (order.source.shown,))
    registry.refuse_newer(home, name)
    differing = _compare(record, given.read(home, name), order)
    missing = [alias for alias in order.aliases if alias not in record.attached_aliases]
    attached = (f"aliases: {', '.join(missing)}",) if missing else ()
    if record.status == "running":
        return Step(name, "replaced" if differing else "attached" if missing else "", (*differing, *attached))
    return Step(name, "launched" if differing or missing else "started", (*differing, *attached))


def carry_out(home: Home, name: str, order: Order, report: Callable[[str], None]) -> dict[str, Any] | None:
    """Do it, as :mod:`nectar.manage.up` carries it out."""

    def tell(text: str) -> None:
        report(f"{name}: {text}")

    step = plan(home, name, order)
    if step.verb in ("launched", "replaced"):
        kept = given.read(home, name)
        together = Given(env={**kept.env, **order.given.env}, files=order.given.files, passed=kept.passed)
        order = order._replace(given=together)
        try:
            return up.tell(step.verb, launch.launch(home, name, order, replace_running=True, report=tell))
        except NotGrantedError as error:
            error.hint = f"If it may, in [handlers.{name}], allow is to have: {', '.join(map(repr, error.missing))}"
            raise
    if step.verb == "started":
        return up.tell(step.verb, launch.start(home, name, decided=True, report=tell))
    if step.verb == "attached":
        attachments.attach(home, name, order.aliases, report=tell)
        return up.tell(step.verb)
    return None


def find_unnamed(home: Home, orders: dict[str, Order]) -> list[str]:
    """What is there and does not stand in the file, each in a few words."""
    found = []
    for name, record in registry.read(home).items():
        if name not in orders:
            found += [f"the handler {name!r}"] if record.desired == "running" else []
        else:
            found += [f"{name!r} attached to {alias}" for alias in record.attached_aliases if alias not in orders[name].aliases]
    return found


def export(home: Home) -> str:
    """The text of a file that asks for what should run now. Variables are named in it, and not told: they may be secret."""
    import tomli_w

    tables, secrets = {}, []
    for name, record in registry.read(home).items():
        if record.desired == "running":
            registry.refuse_newer(home, name)
            kept = given.read(home, name)
            tables[name] = _write_entry(record, kept)
            named = [*kept.env, *(["the login of its requirement"] if kept.login else [])]
            secrets += [f"# {name}: {', '.join(named)}\n"] if named else []
    head = "".join(
        [_HEAD, *(["# Not written, because they may be secret; where the handler is, they stay:\n"] if secrets else []), *secrets]
    )
    text = f"{head}\n{tomli_w.dumps({'handlers': tables})}"
    return "".join(char if char.isprintable() or char == "\n" else f"\\u{ord(char):04x}" for char in text)


def _read_entry(path: Path, name: str, entry: object) -> Order:
    where = f"{path}, [handlers.{name}]"
    try:
        check_name(name)
        if not isinstance(entry, dict):
            raise UsageError(f"'handlers.{name}' must be a table.")
        _require_known(entry, tuple(_KEYS), where)
        for key, value in entry.items():
            kind, wanted = _KEYS[key]
            texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            if type(value) is not kind or (key != "settings" and not all(isinstance(text, str) for text in texts)):
                raise UsageError(f"{key!r} must be {wanted}.")
        return _make_order(path.parent, name, entry)
    except NectarError as error:
        error.where = where if error.where is None else f"{where}: {error.where}" if where not in error.where else error.where
        raise


def _make_order(directory: Path, name: str, entry: dict[str, Any]) -> Order:
    if ("source" in entry) == ("requirement" in entry):
        raise UsageError("Say what to run: either source, a path, or requirement.")
    for key, place in _ELSEWHERE.items():
        if key in entry.get("settings", {}):
            raise UsageError(f"{key!r} is not set there.", hint=f"Its place: {place.format(name)}")
    Settings.from_mapping(entry.get("settings", {}), where="settings")
    env = entry.get("env", {})
    for variable, value in env.items():
        if not is_variable_name(variable) or "\0" in value:
            raise UsageError(f"No variable can be called {variable!r}, or hold what it is given.", where="env")
    source = open_source(
        _place(directory, entry["source"]) if "source" in entry else None,
        requirement=entry.get("requirement"),
        chosen=entry.get("extras", ()),
        python=entry.get("python"),
        downloads=entry.get("python_downloads", False),
        offline=entry.get("offline", False),
        no_build=entry.get("no_build", False),
        build_env=entry.get("build_env", ()),
    )
    return Order(
        source=source,
        entry=entry.get("handler"),
        settings=entry.get("settings", {}),
        given=Given(env=env, files=tuple(_place(directory, file) for file in entry.get("env_files", ()))),
        wall=granted.decide(source, entry.get("sandbox"), entry.get("allow", ()), os.environ, where="allow"),
        aliases=tuple(dict.fromkeys(map(check_alias, entry.get("aliases", ())))),
    )


def _place(directory: Path, path: str) -> str:
    """A path that is meant from a directory."""
    return path if path.startswith("~") else str(directory / path)


def _require_known(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            _refuse(key, known, where)


def _refuse(key: str, known: tuple[str, ...], where: str) -> NoReturn:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
    raise UsageError(f"There is no key {key!r}.", where=where, hint=hint)


def _compare(record: Record, kept: Given, order: Order) -> tuple[str, ...]:
    """What of a handler is otherwise than it is asked for, aliases aside; no values of variables."""
    now, wanted = _facts(record.source), _facts(order.source.to_mapping())
    pairs = {**{key: (now[key], wanted[key]) for key in wanted}, "handler": (record.asked_entry, order.entry)}
    pairs |= {key: (record.settings.get(key), order.settings.get(key)) for key in {**record.settings, **order.settings}}
    pairs["env_files"] = (list(kept.files), list(order.given.files))
    pairs["sandbox"] = (record.wall is not None, order.wall is not None)
    pairs["allow"] = (_tell_allowed(record.wall), _tell_allowed(order.wall))
    found = [f"{key}: {_shown(was)} → {_shown(wanted)}" for key, (was, wanted) in pairs.items() if was != wanted]
    found += [f"env: {name}" for name, value in order.given.env.items() if kept.env.get(name) != value]
    return (*found, *(["login"] if order.source.login not in (None, kept.login) else []))


def _facts(source: dict[str, Any]) -> dict[str, Any]:
    """A recorded source as its keys in the file have it; of a requirement, no path."""
    requirement = source.get("requirement")
    return {
        "source": None if requirement else source.get("path"),
        "requirement": requirement,
        "extras": list(source.get("extras") or ()),
        "python": source.get("python"),
        "python_downloads": bool(source.get("downloads")),
        "offline": bool(source.get("offline")),
        "no_build": bool(source.get("no_build")),
        "build_env": list(source.get("build_env") or ()),
    }


def _write_entry(record: Record, kept: Given) -> dict[str, Any]:
    fields = {
        **_facts(record.source),
        "handler": record.asked_entry,
        "aliases": list(record.attached_aliases),
        "env_files": list(kept.files),
        "sandbox": record.wall is not None,
        "allow": _tell_allowed(record.wall),
        "settings": record.settings,
    }
    return {key: value for key, value in fields.items() if value not in (None, False, [], {})}


def _tell_allowed(wall: Grants | None) -> list[str]:
    return [] if wall is None else wall.to_texts()


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
