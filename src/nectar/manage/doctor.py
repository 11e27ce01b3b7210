"""What could go wrong on this machine, each with its cure."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nectar import __version__, features, namelock, ownership, processes
from nectar.errors import NectarError
from nectar.home import NAME_PATTERN
from nectar.manage import gc
from nectar.manage.daemon import hosts
from nectar.manage.environment import drift, generations
from nectar.manage.handlers import handlers, inspection, registry, turns
from nectar.manage.uv.interpreters import is_too_old, list_installed
from nectar.manage.uv.uv import Uv, find_uv, select_variables, with_cache
from nectar.manage.wall import trying
from nectar.settings import OLDEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nectar.home import Home
    from nectar.manage.handlers.registry import Record

_LOW_DISK = 1024**3
_LOW_WATCHES = 8192
_LOW_INSTANCES = 64
_WASTE = 1024**3

Level = Literal["fine", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """:ivar what: one sentence.
    :ivar cure: what to do about it, as a command where there is one.
    """

    level: Level
    what: str
    cure: str | None = None


def examine(home: Home) -> Iterator[Finding]:
    """Everything that was looked at, in turn."""
    yield from _uv(home)
    yield from _disk(home)
    yield from _inotify()
    try:
        records, broken = handlers.see(home)
    except NectarError as error:
        yield Finding("problem", f"{error.message} ({error.where})", error.hint)
        return
    if broken is not None:
        yield Finding("problem", f"{broken.message} ({broken.where})", broken.hint)
    yield _wall(home, [name for name, record in records.items() if record.sandbox is not None])
    for name, record in records.items():
        yield from _handler(home, name, record)
    if broken is not None:
        return
    yield from _unrecorded(home)
    if not records:
        yield Finding("fine", "No handlers yet.")
    told = home.nectar.exists() and not any(record.is_newer for record in records.values())
    try:
        waste = sum(each.size for each in gc.find_unused(home)) if told else 0
    except NectarError as error:
        yield Finding("warning", f"{error.message} ({error.where})")
        return
    if waste > _WASTE:
        yield Finding("warning", f"{waste / 1024**3:.1f} GiB are used by what no handler uses.", "nectar gc")


def _uv(home: Home) -> Iterator[Finding]:
    try:
        binary = find_uv()
    except NectarError as error:
        yield Finding("problem", error.message, error.hint)
        return
    kept = select_variables(os.environ)
    # Who only looks makes no data dir, not for a cache either.
    variables = with_cache(kept, home.uv_cache) if home.nectar.exists() else {**kept, "UV_NO_CACHE": "1"}
    uv = Uv(binary, variables, lambda _line: None, lambda _line: None)
    version = uv.run("--version", quiet=True)
    if version.code != 0:
        yield Finding("problem", f"uv does not run: {version.errors.strip()} ({binary})", "pip install --force-reinstall uv")
        return
    yield Finding("fine", f"{version.output.strip()} at {binary}")
    try:
        there = list_installed(uv)
    except NectarError as error:
        yield Finding("problem", f"{error.message} {error.detail}")
        return
    found = [each for each, _ in there if not is_too_old(each)]
    if found:
        yield Finding("fine", f"Pythons for handlers: {', '.join(dict.fromkeys(found))}")
    else:
        yield Finding("problem", f"There is no Python {OLDEST} or later for handlers.", f"{binary} python install 3.13")


def _disk(home: Home) -> Iterator[Finding]:
    there = next(path for path in (home.nectar, home.data_dir, *home.data_dir.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding("problem", f"{there} cannot be written.", "Make it writable, or give another data dir with --data-dir.")
    else:
        yield Finding("fine", f"The data dir is {home.data_dir}")
    kind = ownership.find_network(home)
    if kind is not None:
        yield Finding("warning", hosts.describe(home, kind), "Give each machine a data dir of its own.")
        last = ownership.find_host(home)
        if last is not None and not last[0].is_this:
            yield Finding("warning", f"Another machine, {last[0].name}, was the last to work there ({home.host}).")
    free = shutil.disk_usage(there).free
    if free < _LOW_DISK:
        yield Finding(
            "warning", f"There are only {free // 1024**2} MiB free at {there}.", "nectar gc removes what no handler uses."
        )


def _inotify() -> Iterator[Finding]:
    limits = (
        ("max_user_watches", _LOW_WATCHES, "one for each attached alias"),
        ("max_user_instances", _LOW_INSTANCES, "one for each handler"),
    )
    for name, low, use in limits:
        limit = features.kernel_limit(f"fs/inotify/{name}")
        if limit is not None and limit < low:
            yield Finding(
                "warning",
                f"The limit fs.inotify.{name} is {limit}; nectar needs {use}.",
                f"sudo sysctl fs.inotify.{name}={low * 8}",
            )


def _wall(home: Home, walled: list[str]) -> Finding:
    """:param walled: the handlers that have one."""
    found = trying.examine(home, anew=True)
    if not isinstance(found, trying.Refusal):
        return Finding("fine", f"A wall can stand around a handler, by {found}")
    if walled:
        return Finding("problem", f"No wall can stand here, and {', '.join(walled)} cannot start: {found.what}", found.cure)
    return Finding("fine", f"No wall can stand here, for --sandbox: {found.what}", found.cure)


def _handler(home: Home, name: str, record: Record) -> Iterator[Finding]:
    before = []
    if record.is_newer:
        newer = registry.newer(home, name)
        yield Finding("problem", newer.message, newer.hint)
        return
    found = inspection.look(home, name, record)
    if not found.health.is_well:
        before.append(Finding("problem", f"{name}: {found.health.what}", found.health.cure))
    if found.daemon is not None and record.version != __version__:
        told = f"{name} was started by nectar {record.version}; this is {__version__}."
        before.append(Finding("warning", told, f"nectar restart {name}"))
    if generations.is_newer(home, record.environment):
        newer = drift.newer(home, name, record.environment)
        before.append(Finding("problem", newer.message, newer.hint))
    elif record.environment:
        wrong = drift.check(home, record.environment)
        if wrong:
            before.append(Finding("problem", f"The environment of {name}: {wrong[0]}", f"nectar restart {name}"))
    else:
        before.append(Finding("warning", f"{name} was written by something else, and cannot be started.", f"nectar remove {name}"))
    gone = [alias for alias in record.attached_aliases if not home.computations(alias).is_dir()]
    before += [
        Finding("warning", f"{name} is attached to {alias}, which is not there.", f"nectar detach {name} {alias}") for alias in gone
    ]
    for pid in processes.unproven(home.data_dir, name):
        what = f"Process {pid} carries the mark of {name}, and nobody can tell whose it is: its PID namespace cannot be read."
        before.append(Finding("warning", what, f"If nothing needs it: kill {pid}"))
    yield from before or [Finding("fine", f"{name} is {found.health.state.value}")]


def _unrecorded(home: Home) -> Iterator[Finding]:
    """Daemons that no command reaches by their name."""
    names = {path.stem for path in home.handlers.glob("*.lock")} - registry.read(home).keys()
    for name in sorted(name for name in names if NAME_PATTERN.fullmatch(name)):
        holder = namelock.find_holder(home, name)
        if holder is not None and holder.pid is not None and not turns.is_being_started(home, name):
            yield Finding("problem", f"{name} runs, and there is no record of it any more.", f"kill {holder.pid}")
