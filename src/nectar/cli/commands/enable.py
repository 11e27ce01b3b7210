"""``nectar enable``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.manage import unit


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Only show what systemd, or on macOS launchd, would be given.")
@click.pass_obj
def command(session: Session, *, only_print: bool) -> None:
    """Have the handlers run from the boot on: a unit of your own systemd runs `nectar up --keep`, and starts now."""
    home, output = session.home, session.output
    if only_print:
        output.data((unit.compose_agent(home) if unit.is_launchd() else unit.compose(home)).rstrip("\n"))
        return
    enabled = unit.enable(home)
    output.data(f"✅ Enabled: {enabled.unit} ({enabled.path})")
    output.data(f"   Its words: journalctl --user -u {enabled.unit}")
    if enabled.changed:
        output.warn(f"It runs as it was before until it is started anew: systemctl --user restart {enabled.unit}")
    if enabled.other:
        output.warn(f"{enabled.other} keeps the handlers already; the unit does so within seconds of its end.")
    if enabled.linger:
        output.warn(f"It runs only while you are logged in. To have it run from the boot on: {enabled.linger}")
