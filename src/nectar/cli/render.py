"""What several verbs show of a handler, line by line as scripts expect it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nectar.cli.output import join_lines
from nectar.manage.handlers.health import UNWELL, State

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.home import Home
    from nectar.manage.handlers.health import Health
    from nectar.manage.handlers.inspection import Detail, Seen
    from nectar.manage.handlers.registry import Record
    from nectar.manage.handlers.takeover import Launched
    from nectar.manage.wall.grants import Grants

_BANNER = """\
╔═══════════════════════════════════════════════════════════════╗
║                     Nectar Handlers                           ║
╚═══════════════════════════════════════════════════════════════╝
"""


_ICONS = {
    **dict.fromkeys(State, "🔴"),
    **dict.fromkeys((State.STARTING, State.STOPPING, State.BUSY), "🟡"),
    State.RUNNING: "🟢",
    State.STOPPED: "⚫",
}
_STYLES = {**dict.fromkeys(UNWELL, "red"), State.RUNNING: "green"}
_NETWORK = "network (the host's, its loopback and abstract sockets included)"
_BLOCKS = "·▁▂▃▄▅▆▇█"


def show_launched(output: Output, handler: Launched, verb: str) -> None:
    """A handler that was launched or started."""
    record = handler.record
    watching = ", ".join(record.attached_aliases) or "(none - use 'nectar attach' to add aliases)"
    output.data(f"✅ Handler {verb}: {handler.name} (PID {record.pid})")
    output.data(f"   Handler file: {record.handler}")
    output.data("   Status: running")
    output.data(f"   Watching: {watching}")
    if record.wall is not None:
        output.data(f"   Sandbox: {describe_wall(record.wall)}")
    output.data(f"   Logs: nectar logs {handler.name}")
    for warning in handler.warnings:
        output.warn(warning)
    for alias, problem in handler.problems.items():
        output.warn(f"It cannot answer for {alias!r} now: {problem}")


def describe_wall(grants: Grants) -> str:
    """What a handler may have behind its wall."""
    said = [_NETWORK if each == "network" else each for each in grants.to_texts()]
    return join_lines(", ".join(said)) or "nothing granted"


def show_line(output: Output, name: str, verb: str, handler: Launched | None) -> None:
    """A handler of several, in one line, beside what there is to warn of."""
    pid = "" if handler is None else f" (PID {handler.record.pid})"
    aliases = "" if handler is None else ", ".join(handler.record.attached_aliases)
    output.data(f"✅ Handler {verb}: {name}{pid}{aliases and f', watching {aliases}'}")
    if handler is not None:
        for warning in handler.warnings:
            output.warn(f"{name}: {warning}")
        for alias, problem in handler.problems.items():
            output.warn(f"{name} cannot answer for {alias!r} now: {problem}")


def show_table(output: Output, handlers: list[Seen]) -> None:
    """All handlers."""
    output.data(_BANNER if output.columns is None or output.columns >= _BANNER.index("\n") else _make_banner(output.columns))
    for seen in handlers:
        record, health = seen.record, seen.health
        runs = record.status == "running"
        output.data(
            f"  {_ICONS[health.state]} {health.state.value:<7}  {seen.name}"
            + (f" (PID {record.pid})" if runs and record.pid else ""),
            style=_STYLES.get(health.state),
        )
        output.data(f"           Handler: {record.handler or '(unknown)'}")
        output.data(f"           Watching: {', '.join(record.attached_aliases) or '(none)'}")
        if health.state is State.DEAD:
            output.data(f"           Should run: {health.cure}", style="red")
        if runs and record.started is not None:
            output.data(f"           Started: {format_moment(record.started)}")
        if health.what is not None and health.state is not State.DEAD:
            output.data(f"           {_label(health)}: {describe(health)}", style=None if health.is_well else "red")
        output.data()
    count = sum(seen.record.status == "running" for seen in handlers)
    output.data(f"Total: {len(handlers)} handler(s), {count} running")


def describe(health: Health) -> str:
    """What there is to say of a handler beyond its state: what, since when, what to type."""
    since = None if health.since is None else f"since {format_moment(health.since)}"
    parts = (health.what and join_lines(health.what), since, health.cure)
    return "; ".join(filter(None, parts))


def _make_banner(columns: int) -> str:
    """The same for a narrow terminal."""
    inner = max(columns - 2, 0)
    return f"╔{'═' * inner}╗\n║{'Nectar Handlers'.center(inner)[:inner]}║\n╚{'═' * inner}╝\n"


def _label(health: Health) -> str:
    return "Problem" if health.state is State.RUNNING else health.state.value.capitalize()


def show_brief(output: Output, handlers: list[Seen]) -> None:
    """A line for each handler, in columns that are as wide as what is in them."""
    heads = ("NAME", "STATE", "UP", "ANSWERED", "ERRORS", "WAITING", "BUSY", "MEMORY", "ALIASES")
    lines = [heads, *(_make_brief(seen) for seen in sorted(handlers, key=lambda seen: seen.name))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if 2 <= at <= 7 else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        output.data("  ".join(cells).rstrip(), style="bold" if line is heads else None)


def _make_brief(seen: Seen) -> tuple[str, ...]:
    daemon = seen.daemon or {}
    now = time.time()
    up = "-" if seen.record.status != "running" or seen.record.started is None else format_span(now - seen.record.started)
    counts = daemon.get("counts", {})
    runs = [run["since"] for worker in daemon.get("workers", ()) for run in worker.get("runs", ())]
    memory = sum(worker.get("memory", 0) for worker in daemon.get("workers", ()))
    told = (
        str(sum(counts.get(status, 0) for status in ("success", "error", "timeout"))),
        str(counts.get("error", 0) + counts.get("timeout", 0)),
        str(daemon.get("queue", "-")),
        format_span(now - min(runs)) if runs else "-",
        format_size(memory) if memory else "-",
    )
    aliases = ",".join(seen.record.attached_aliases) or "-"
    return (seen.name, seen.health.state.value, up, *(told if daemon else ("-",) * 5), aliases)


def _as_in_toml(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def show_detail(output: Output, found: Detail) -> None:
    """One handler, a line for each thing that is known of it."""
    record, daemon, health = found.record, found.daemon, found.health
    runs = record.status == "running"
    started = f", started {format_moment(record.started)}" if runs and record.started is not None else ""
    pid = f" (PID {record.pid})" if runs else ""
    dead = f"🔴 dead, and should run: {health.cure}" if health.state is State.DEAD else None
    wall = {} if record.wall is None else {"Sandbox": describe_wall(record.wall)}
    settings = {key: value for key, value in found.settings.items() if wall or not key.startswith("sandbox_")}
    rows = {
        "Status": dead or f"{_ICONS[health.state]} {health.state.value}{pid}{started}",
        "Handler": record.handler or "(unknown)",
        "Entry point": f"{record.handler_name} = {record.entry}",
        "Watching": ", ".join(record.attached_aliases) or "(none)",
        **wall,
        "Environment": str(found.environment) if found.python_version or found.unknown else f"{found.environment} (gone)",
        "Python": found.python_version or "(unknown)",
        "Settings": ", ".join(f"{key} = {_as_in_toml(value)}" for key, value in settings.items() if value not in (None, [], {})),
        "Variables": ", ".join(found.variables) or "(none)",
        "Log": str(found.log),
    }
    if found.build_log is not None:
        rows["Build log"] = str(found.build_log)
    if found.unknown is not None:
        rows["Unknown"] = f"⚠️  {found.unknown}"
    if found.silent is not None:
        rows["Daemon"] = f"⚠️  {describe(health)}"
    if found.waiting is not None:
        rows["Waiting"] = str(found.waiting)
    if daemon is not None:
        rows |= _make_daemon_rows(daemon, health)
    if found.unknown is None:
        rows["Changed"] = f"{', '.join(found.changed)} (nectar restart {found.name})" if found.changed else "(nothing since launch)"
    output.data(found.name, style="bold")
    for label, text in rows.items():
        output.data(f"  {label + ':':<14}{join_lines(text)}")


def _make_daemon_rows(daemon: dict[str, Any], health: Health) -> dict[str, str]:
    """What a daemon says of itself; one of an older nectar says less."""
    rows = {}
    if health.what is not None:
        rows[_label(health)] = f"⚠️  {describe(health)}"
    rows["Nectar"] = str(daemon.get("version"))
    rows["Answered"] = ", ".join(f"{count} {status}" for status, count in daemon["counts"].items())
    if daemon.get("last_answered"):
        rows["Answered"] += f"; the last {format_moment(daemon['last_answered'])}"
    latency = daemon.get("latency") or {}
    if latency.get("p50") is not None:
        rows["Latency"] = (
            f"half within {format_seconds(latency['p50'])}, 99 of 100 within {format_seconds(latency['p99'])} (last hour)"
        )
        rows["Last hour"] = f"{draw(daemon['hour'])} {sum(daemon['hour'])} answers, at most {max(daemon['hour'])} a minute"
    rows["Waiting"] = str(daemon["queue"])
    for number, worker in enumerate(daemon["workers"], 1):
        memory = f", {format_size(worker['memory'])}" if worker.get("memory") else ""
        cpu = f", {worker['cpu']:.1f} s of processor" if worker.get("cpu") else ""
        runs = [f"{run['alias']} {run['comp_id']} since {format_moment(run['since'])}" for run in worker.get("runs", ())]
        rows[f"Worker {number}"] = f"{worker['state']} (PID {worker['pid']}{memory}{cpu})" + "".join(f"; {run}" for run in runs)
    if not daemon["workers"]:
        rows["Workers"] = "(none)"
    if daemon["last_error"]:
        failed = daemon.get("last_failed")
        which = f"{format_moment(failed['time'])} {failed['alias']} {failed['comp_id']}: " if failed else ""
        rows["Last error"] = which + str(daemon["last_error"])
    if daemon.get("deaths"):
        rows["Deaths"] = f"{len(daemon['deaths'])} without a stop, the last after {format_moment(daemon['deaths'][-1])}"
    if daemon.get("warnings"):  # 0.1.0 says nothing of them
        rows["Warnings"] = f"⚠️  {'; '.join(daemon['warnings'])}"
    return rows


def draw(counts: list[int]) -> str:
    """Counts as a line of blocks, two of them each."""
    pairs = [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]
    most = max([*pairs, 1])
    return "".join(_BLOCKS[-(-count * (len(_BLOCKS) - 1) // most)] for count in pairs)


def make_launched_fields(home: Home, handler: Launched) -> dict[str, Any]:
    """A handler that was launched or started, for ``--json``."""
    fields = {"name": handler.name, **handler.record.to_show(), "environment": _environment_fields(home, handler.record)}
    return {**fields, "warnings": handler.warnings, "problems": handler.problems}


def _environment_fields(home: Home, record: Record) -> dict[str, str] | None:
    if not record.environment:
        return None
    return {"key": record.environment, "path": str(home.envs / record.environment), "python": record.python}


def make_fields(home: Home, seen: Seen) -> dict[str, Any]:
    """A handler, for ``--json``."""
    record = seen.record
    shown = {"name": seen.name, **record.to_show(), "environment": _environment_fields(home, record)}
    return {**shown, "failing": _failing(seen.health), "health": make_health_fields(seen.health)}


def make_health_fields(health: Health) -> dict[str, Any]:
    """:returns: ``state``, and ``what`` is wrong, ``since`` when (Unix seconds) and the ``cure``, each null where there is nothing to say."""
    return {"state": health.state.value, "what": health.what, "since": health.since, "cure": health.cure}


def _failing(health: Health) -> str | None:
    """Why a handler that runs does not answer, or not for all of its nodes."""
    return None if health.is_well or health.state is State.DEAD else health.what


def make_detail_fields(found: Detail) -> dict[str, Any]:
    """One handler in detail, for ``--json``."""
    record = found.record
    environment = {
        "key": record.environment,
        "path": str(found.environment),
        "python": record.python,
        "python_version": found.python_version,
        "distributions": found.distributions,
    }
    return {
        "name": found.name,
        **record.to_show(),
        "environment": environment,
        "effective": found.settings,
        "variables": found.variables,
        "daemon": found.daemon,
        "health": make_health_fields(found.health),
        "waiting": found.waiting if found.daemon is None else found.daemon["queue"],
        "log": str(found.log),
        "build_log": None if found.build_log is None else str(found.build_log),
        "changed": found.changed,
        "unknown": found.unknown,
    }


def format_moment(seconds: float) -> str:
    """Unix seconds as a local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def format_span(seconds: float) -> str:
    """Seconds, for a person, in the unit that tells most."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def format_seconds(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def format_size(count: int) -> str:
    """Bytes, for a person."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
