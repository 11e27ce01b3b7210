"""What several verbs show of a handler, line by line as scripts expect it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.manage.launch import Launched
    from nectar.manage.registry import Record

_BANNER = """\
╔═══════════════════════════════════════════════════════════════╗
║                     Nectar Handlers                           ║
╚═══════════════════════════════════════════════════════════════╝
"""


def launched(output: Output, handler: Launched, verb: str) -> None:
    """A handler that was launched or started."""
    record = handler.record
    watching = ", ".join(record.attached_aliases) or "(none - use 'nectar attach' to add aliases)"
    output.data(f"✅ Handler {verb}: {handler.name} (PID {record.pid})")
    output.data(f"   Handler file: {record.handler}")
    output.data("   Status: running")
    output.data(f"   Watching: {watching}")
    output.data(f"   Logs: nectar logs {handler.name}")
    for alias, problem in handler.problems.items():
        output.warn(f"It cannot answer for {alias!r} now: {problem}")


def table(output: Output, records: dict[str, Record]) -> None:
    """All handlers."""
    output.data(_BANNER)
    for name, record in records.items():
        runs = record.status == "running"
        if runs:
            output.data(f"  🟢 running  {name}" + (f" (PID {record.pid})" if record.pid else ""), style="green")
        else:
            output.data(f"  ⚫ stopped  {name}")
        output.data(f"           Handler: {record.handler or '(unknown)'}")
        output.data(f"           Watching: {', '.join(record.attached_aliases) or '(none)'}")
        if runs and record.started is not None:
            output.data(f"           Started: {moment(record.started)}")
        output.data()
    count = sum(record.status == "running" for record in records.values())
    output.data(f"Total: {len(records)} handler(s), {count} running")


def moment(seconds: float) -> str:
    """Unix seconds as a local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
