"""Whether a handler gets a wall, and what it is granted behind it: its operator decides, and its project only asks."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import ConflictError, UsageError
from nectar.home import find_user_home
from nectar.manage.handlers import registry
from nectar.manage.wall import paths
from nectar.manage.wall.paths import Closed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Order
    from nectar.manage.handlers.registry import Record
    from nectar.manage.source.source import Source
    from nectar.manage.wall.grants import Grants

VARIABLE = "NECTAR_SANDBOX"
"""Where it is 1, every handler has a wall, unless the command or a hive.toml says otherwise."""
_ELSEWHERE = "Have it where no handler may write."
_APART = "Grant both the same directory, or each one of its own."
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/boot")


class NotGrantedError(ConflictError):
    """A handler needs what it is not granted.

    :ivar missing: that, as its author wrote it.
    :ivar flags: the same as flags that grant it.
    """

    def __init__(self, source: Source, missing: list[str]) -> None:
        self.missing = missing
        self.flags = shlex.join(word for each in missing for word in ("--allow", each))
        what = f"The handler needs what it is not granted: {', '.join(missing)}."
        super().__init__(what, where=source.shown, hint=f"If it may: {self.flags}")


def is_wanted(asked: bool | None, environ: Mapping[str, str]) -> bool:
    """Whether a handler is to have a wall.

    :param asked: what the command or a hive.toml says; None where that says nothing.
    :param environ: the shell's.
    :raises UsageError: ``NECTAR_SANDBOX`` says neither.
    """
    said = environ.get(VARIABLE, "")
    if said not in ("", "0", "1"):
        raise UsageError(f"{VARIABLE} is 1, or 0, which is as good as nothing; not {said!r}.")
    return said == "1" if asked is None else asked


def decide(source: Source, asked: bool | None, allow: Iterable[str], environ: Mapping[str, str], *, where: str) -> Grants | None:
    """What a handler is granted behind its wall; None where it is to have none.

    :param asked: and ``environ`` are as for :func:`is_wanted`.
    :param allow: what its operator allows, as flags say it.
    :param where: what to call their place in an error.
    :raises NectarError: something of it cannot be granted, or would be without a wall.
    """
    allow = tuple(allow)
    if not is_wanted(asked, environ):
        if allow:
            raise UsageError(
                "Without a wall a handler may do all that you may, and nothing is granted.",
                where=where,
                hint=f"Have a wall (--sandbox, or sandbox = true in a hive.toml), or leave {where} out.",
            )
        return None
    return paths.read(allow, _directory(source), where=where)


def check(home: Home, name: str, order: Order) -> Order:
    """Whether a handler can be run as it is asked for, before anything is built.

    :returns: the same, with a source that brings nothing along that the handler must not see.
    :raises NotGrantedError: it needs more than it is granted.
    :raises NectarError: a grant opens what none may; or what is to be run lies where another handler may write.
    """
    records, source = registry.read(home), order.source
    _refuse_what_others_write(name, order, records)
    if order.wall is None:
        return order
    if source.kind != "requirement" and paths.is_in(source.path, [str(home.data_dir)]) is not None:
        hint = "Move it out, or give another data dir with --data-dir."
        raise UsageError(
            "The source lies in the data dir, of which nothing is seen from behind a wall.", where=source.shown, hint=hint
        )
    paths.check_there(order.wall)
    others = {other: record for other, record in records.items() if other != name}
    paths.check_open(order.wall, [*_closed(home, source, others)])
    missing = paths.find_missing(order.read_settings().needs, order.wall, _directory(source))
    if missing:
        raise NotGrantedError(source, missing)
    return order._replace(source=source.behind(order.wall))


def add(record: Record, source: Source, allow: Iterable[str]) -> Grants | None:
    """What a handler is granted together with what is added.

    :raises ConflictError: it has no wall.
    :raises NectarError: something of it cannot be granted.
    """
    allow = tuple(allow)
    if record.wall is None:
        if allow:
            raise ConflictError("It has no wall, and may do all that you may.", hint="Launch it again, with --sandbox.")
        return None
    return paths.join(record.wall, paths.read(allow, _directory(source), where="--allow"), where="--allow")


def require_wall(name: str, record: Record, verb: str, environ: Mapping[str, str]) -> None:
    """:raises ConflictError: the shell wants a wall for every handler, and this one was launched without."""
    if record.wall is None and is_wanted(None, environ):
        what = shlex.quote(record.handler)
        what = f"--requirement {what}" if record.source.get("kind") == "requirement" else what
        running = " --replace" if record.status == "running" else ""
        raise ConflictError(
            f"The handler {name!r} was launched without a wall, and {VARIABLE} is 1.",
            hint=f"With one: nectar launch {what} {name} --sandbox{running} (and what it had else). Without: {VARIABLE}=0 nectar {verb} {name}",
        )


def _refuse_what_others_write(name: str, order: Order, records: Mapping[str, Record]) -> None:
    """:raises ConflictError: a handler may have written what is to be run, or its variables; or one may have what is granted to another lead elsewhere."""
    source, wall = order.source, order.wall
    sources = [] if source.kind == "requirement" else [source.path]
    files = [Path(file) for file in order.given.files]
    own = () if wall is None else wall.write
    for file in files:
        if (place := paths.is_in(file, own)) is not None:
            what = f"The handler may write there, and could have any file of yours read: it is granted {place}."
            raise ConflictError(what, where=str(file), hint=_ELSEWHERE)
    for other, record in records.items():
        if record.wall is None:
            continue
        # Of what one writes for itself, its own source stays behind its wall.
        for file in files if other == name and wall is not None else (*sources, *files):
            if (place := paths.is_in(file, record.wall.write)) is not None:
                what = f"The handler {other!r} may write there: it is granted {place}."
                raise ConflictError(what, where=str(file), hint=_ELSEWHERE)
        if other == name or wall is None:
            continue
        for path, place in _find_inside(wall.paths, record.wall.write):
            raise ConflictError(
                f"The handler {other!r} may write in {place}, and could have this lead elsewhere.", where=path, hint=_APART
            )
        for path, place in _find_inside(record.wall.paths, wall.write):
            what = f"The handler {other!r} is granted {path}, which this one could have lead elsewhere."
            raise ConflictError(what, where=f"write={place}", hint=_APART)


def _find_inside(granted: Iterable[str], written: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What of it lies in one of these places, and is no such place itself, with that."""
    for path in granted:
        if (place := paths.is_in(Path(path).parent, written)) is not None:
            yield path, place


def _directory(source: Source) -> Path | None:
    return None if source.kind == "requirement" else source.directory


def _closed(home: Home, source: Source, others: Mapping[str, Record]) -> Iterator[Closed]:
    """What no grant opens."""
    yield Closed(home.data_dir, "the data dir")
    user = find_user_home(os.environ)
    if user is not None:
        yield Closed(user, "your home directory", within=False)
    if source.kind != "requirement":
        yield Closed(source.path, "the handler's own source", within=False, to_writing=True)
        yield Closed(source.path / ".git", "git's own directory", to_writing=True)
    for name, record in others.items():
        path = record.source.get("path")
        if isinstance(path, str) and record.source.get("kind") != "requirement" and Path(path) != source.path:
            yield Closed(Path(path), f"the source of the handler {name!r}", within=not source.path.is_relative_to(path))
        if record.python:
            yield Closed(Path(os.path.realpath(record.python)).parents[1], "a Python that handlers run on", to_writing=True)
    for place in (sys.prefix, sys.base_prefix, *_SYSTEM):
        yield Closed(Path(place), "what runs outside of the wall", to_writing=True)
    for variable, base, default, directory in _OF_UV:
        place = os.environ.get(variable) or (os.environ.get(base) or (user and str(user / default)) or "") + directory
        yield Closed(Path(place), "uv's own directory", to_writing=True)


_OF_UV = (
    ("UV_CACHE_DIR", "XDG_CACHE_HOME", ".cache", "/uv"),
    ("UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", ".local/share", "/uv/python"),
)
