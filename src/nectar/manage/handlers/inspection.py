"""One handler in detail: what was launched, what runs, and what has changed since."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from nectar import namelock
from nectar.errors import NectarError
from nectar.frozen import dataclass
from nectar.manage.daemon import given
from nectar.manage.handlers import handlers, health, registry, turns
from nectar.manage.waits import wait
from nectar.protocol import Asked, ask
from nectar.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.home import Home
    from nectar.manage.handlers.health import Health
    from nectar.manage.handlers.registry import Record

ROBBED = "Its lock was removed, or is another file by now. It stops by itself, because no command would find it."
STATUS_TIMEOUT = 5.0
TABLE_TIMEOUT = 2.0
AT_ONCE = 20
"""How many daemons are asked at once. Each takes a descriptor, of which there may be few."""
STATUS = {"do": "status"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One of all handlers.

    :ivar daemon: its reply to ``status``; None where it does not run or does not answer.
    """

    name: str
    record: Record
    health: Health
    daemon: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Detail:
    """:ivar environment: where it is, or would be.
    :ivar python_version: None where the environment is gone.
    :ivar distributions: what is in the environment, as pairs of name and version.
    :ivar settings: all of them, as the daemon was told; variables aside.
    :ivar variables: names of what ``--env``, ``--env-file`` and ``pass_env`` give.
    :ivar daemon: its reply to ``status``; None where it does not run or does not answer.
    :ivar health: how it is.
    :ivar silent: why a daemon that runs does not answer, or is not asked.
    :ivar waiting: questions in the directories of its aliases, where no daemon tells of them.
    :ivar log: where its log is, and ``build_log`` what uv said at the last build, where there is one.
    :ivar changed: what is no longer as it was when the environment was built.
    :ivar unknown: why no more can be told of its environment.
    """

    name: str
    record: Record
    environment: Path
    python_version: str | None
    distributions: list[list[str]]
    settings: dict[str, Any]
    variables: list[str]
    daemon: dict[str, Any] | None
    health: Health
    silent: str | None
    waiting: int | None
    log: Path
    build_log: Path | None
    changed: list[str]
    unknown: str | None = None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Questions that nobody has taken.

    :ivar oldest: Unix seconds of the oldest one's file; None where there is none.
    """

    count: int
    oldest: float | None


def look(home: Home, name: str, record: Record | None = None) -> Detail:
    """:param record: the handler's, where that is known.
    :raises NotFoundError: there is no such handler.
    """
    from nectar.manage.environment import drift, generations  # which a list of handlers does without

    record = record or handlers.look(home, name)
    unknown = _unknown(home, name, record)
    built = record.environment != "" and unknown is None
    marker = generations.read_marker(home, record.environment) if built else None
    daemon, silent = (None, None) if record.status != "running" else (None, ROBBED) if _robbed(home, name) else _ask(home, name)
    settings = {**vars(Settings()), **record.effective}
    del settings["env"]
    return Detail(
        name=name,
        record=record,
        environment=home.envs / record.environment,
        python_version=marker.python_version if marker else None,
        distributions=marker.distributions if marker else [],
        settings=settings,
        variables=_variables(home, name),
        daemon=daemon,
        health=_see(home, name, record, daemon or silent or "", time.time()).health,
        silent=silent,
        waiting=find_waiting(home, record).count if daemon is None else None,
        log=home.log(name),
        build_log=drift.find_build_log(home, record) if built else None,
        changed=drift.find_changes(home, record) if built else [],
        unknown=unknown,
    )


def survey(home: Home, records: dict[str, Record]) -> list[Seen]:
    """How all handlers are. Many daemons are asked at once, so that those which do not answer take no longer than one does."""
    robbed = {name for name, record in records.items() if record.status == "running" and _robbed(home, name)}
    asked = [name for name, record in records.items() if record.status == "running" and not record.is_newer and name not in robbed]
    replies = _ask_all(home, asked)
    now = time.time()
    return [_see(home, name, record, replies.get(name, ROBBED), now) for name, record in records.items()]


def find_waiting(home: Home, record: Record) -> Waiting:
    """What waits in the directories of a handler's aliases: for one that does not run, whose daemon would tell."""
    from nectar.spool.entries import PENDING  # which a list of handlers does without

    times: list[float] = []
    for alias in record.attached_aliases:
        with suppress(OSError, NectarError), os.scandir(home.computations(alias)) as entries:
            waiting = (entry for entry in entries if entry.name.endswith(PENDING) and not entry.name.startswith("."))
            for entry in waiting:
                with suppress(OSError):  # it has just been taken
                    times.append(entry.stat(follow_symlinks=False).st_mtime)
    return Waiting(count=len(times), oldest=min(times, default=None))


def fetch_history(home: Home, name: str) -> dict[str, Any]:
    """What a daemon replies to ``history``.

    :raises UnresponsiveError: it does not answer, or is an older nectar's, which keeps none.
    """
    reply = ask(home.socket(name), {"do": "history"}, timeout=TABLE_TIMEOUT)
    return {"bounds": reply["bounds"], "minutes": reply["minutes"]}


def _see(home: Home, name: str, record: Record, reply: dict[str, Any] | str, now: float) -> Seen:
    """:param reply: what its daemon says, or why that says nothing."""
    if record.is_newer:
        state = health.State.RUNNING if record.status == "running" else health.State.STOPPED
        newer = registry.newer(home, name)
        return Seen(name=name, record=record, health=health.Health(state=state, what=newer.message, cure=newer.hint, alarming=True))
    starting = record.status != "running" and turns.is_being_started(home, name)
    daemon, silence = (reply, None) if isinstance(reply, dict) else (None, reply)
    judged = health.judge(name, record, daemon, now, silence=silence, starting=starting)
    return Seen(name=name, record=record, health=judged, daemon=daemon)


def _ask_all(home: Home, names: list[str]) -> dict[str, dict[str, Any] | str]:
    """What daemons reply to ``status``, or why they do not: many at once, since each waits to be woken."""
    replies: dict[str, dict[str, Any] | str] = {}
    for first in range(0, len(names), AT_ONCE):
        with ExitStack() as stack:
            some = names[first : first + AT_ONCE]
            stack.enter_context(wait(f"Asking {len(some)} daemon(s)", seconds=TABLE_TIMEOUT))
            asked = [stack.enter_context(Asked(home.socket(name), STATUS, timeout=TABLE_TIMEOUT)) for name in some]
            for name, each in zip(some, asked, strict=True):
                try:
                    replies[name] = each.reply()
                except NectarError as error:
                    replies[name] = error.message
    return replies


def _unknown(home: Home, name: str, record: Record) -> str | None:
    if record.is_newer:
        return registry.newer(home, name).message
    from nectar.manage.environment import drift, generations

    if generations.is_newer(home, record.environment):
        return drift.newer(home, name, record.environment).message
    return None


def _robbed(home: Home, name: str) -> bool:
    if namelock.is_running(home, name):
        return False
    holder = namelock.find_holder(home, name)
    return holder is not None and holder.robbed


def _ask(home: Home, name: str) -> tuple[dict[str, Any] | None, str | None]:
    try:
        with wait(f"Asking the daemon of {name!r}", seconds=STATUS_TIMEOUT):
            reply = ask(home.socket(name), STATUS, timeout=STATUS_TIMEOUT)
    except NectarError as error:
        return None, error.message
    return {key: value for key, value in reply.items() if key not in ("ok", "schema")}, None


def _variables(home: Home, name: str) -> list[str]:
    try:
        return sorted(given.read(home, name).variables())
    except NectarError:
        return []
