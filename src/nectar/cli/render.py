"""What several verbs show of a handler, line by line as scripts expect it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from nectar.cli.output import join_lines

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.home import Home
    from nectar.manage.handlers.inspection import Detail
    from nectar.manage.handlers.registry import Record
    from nectar.manage.handlers.takeover import Launched

_BANNER = """\
╔═══════════════════════════════════════════════════════════════╗
║                     Nectar Handlers                           ║
╚═══════════════════════════════════════════════════════════════╝
"""


def show_launched(output: Output, handler: Launched, verb: str) -> None:
    """A handler that was launched or started."""
    record = handler.record
    watching = ", ".join(record.attached_aliases) or "(none - use 'nectar attach' to add aliases)"
    output.data(f"✅ Handler {verb}: {handler.name} (PID {record.pid})")
    output.data(f"   Handler file: {record.handler}")
    output.data("   Status: running")
    output.data(f"   Watching: {watching}")
    output.data(f"   Logs: nectar logs {handler.name}")
    for warning in handler.warnings:
        output.warn(warning)
    for alias, problem in handler.problems.items():
        output.warn(f"It cannot answer for {alias!r} now: {problem}")


def show_table(output: Output, records: dict[str, Record], failing: dict[str, str]) -> None:
    """All handlers.

    :param failing: why some of them cannot answer.
    """
    output.data(_BANNER)
    for name, record in records.items():
        runs = record.status == "running"
        if runs:
            output.data(f"  🟢 running  {name}" + (f" (PID {record.pid})" if record.pid else ""), style="green")
        else:
            output.data(f"  ⚫ stopped  {name}")
        output.data(f"           Handler: {record.handler or '(unknown)'}")
        output.data(f"           Watching: {', '.join(record.attached_aliases) or '(none)'}")
        if record.is_down:
            output.data(f"           Should run: nectar start {name}", style="red")
        if runs and record.started is not None:
            output.data(f"           Started: {format_moment(record.started)}")
        if name in failing:
            output.data(f"           Failing: {join_lines(failing[name])}", style="red")
        output.data()
    count = sum(record.status == "running" for record in records.values())
    output.data(f"Total: {len(records)} handler(s), {count} running")


def _as_in_toml(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def show_detail(output: Output, found: Detail) -> None:
    """One handler, a line for each thing that is known of it."""
    record, daemon = found.record, found.daemon
    runs = record.status == "running"
    since = f", since {format_moment(record.started)}" if runs and record.started is not None else ""
    stopped = f"⚫ stopped, and should run: nectar start {found.name}" if record.is_down else "⚫ stopped"
    rows = {
        "Status": f"🟢 running (PID {record.pid}){since}" if runs else stopped,
        "Handler": record.handler or "(unknown)",
        "Entry point": f"{record.handler_name} = {record.entry}",
        "Watching": ", ".join(record.attached_aliases) or "(none)",
        "Environment": str(found.environment) if found.python_version or found.unknown else f"{found.environment} (gone)",
        "Python": found.python_version or "(unknown)",
        "Settings": ", ".join(f"{key} = {_as_in_toml(value)}" for key, value in found.settings.items() if value not in (None, [])),
        "Variables": ", ".join(found.variables) or "(none)",
    }
    if found.unknown is not None:
        rows["Unknown"] = f"⚠️  {found.unknown}"
    if found.silent is not None:
        rows["Daemon"] = f"⚠️  {found.silent}"
    if daemon is not None:
        if daemon["failing"]:
            rows["Failing"] = f"⚠️  {daemon['failing']}"
        rows["Answered"] = ", ".join(f"{count} {status}" for status, count in daemon["counts"].items())
        rows["Waiting"] = str(daemon["queue"])
        rows["Workers"] = ", ".join(f"{worker['state']} (PID {worker['pid']})" for worker in daemon["workers"]) or "(none)"
        for alias, state in daemon["aliases"].items():
            if state["problem"]:
                rows[f"Alias {alias}"] = f"⚠️  {state['problem']}"
        if daemon["last_error"]:
            rows["Last error"] = daemon["last_error"]
        if daemon.get("warnings"):  # 0.1.0 says nothing of them
            rows["Warnings"] = f"⚠️  {'; '.join(daemon['warnings'])}"
    if found.unknown is None:
        rows["Changed"] = f"{', '.join(found.changed)} (nectar restart {found.name})" if found.changed else "(nothing since launch)"
    output.data(found.name, style="bold")
    for label, text in rows.items():
        output.data(f"  {label + ':':<14}{join_lines(text)}")


def make_fields(home: Home, name: str, record: Record, failing: str | None) -> dict[str, Any]:
    """A handler, for ``--json``."""
    path = home.envs / record.environment
    environment = {"key": record.environment, "path": str(path), "python": record.python} if record.environment else None
    return {"name": name, **record.to_show(), "environment": environment, "failing": failing}


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
        "changed": found.changed,
        "unknown": found.unknown,
    }


def format_moment(seconds: float) -> str:
    """Unix seconds as a local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def format_size(count: int) -> str:
    """Bytes, for a person."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
