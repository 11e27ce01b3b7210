"""``nectar disable``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.manage import unit


@click.command()
@click.option("--print", "only_print", is_flag=True, help="Only show the command.")
@click.pass_obj
def command(session: Session, *, only_print: bool) -> None:
    """Have the handlers no longer run from the boot on. This stops nothing."""
    home, output = session.home, session.output
    if only_print:
        output.data(f"systemctl --user disable {unit.name_unit(home)}")
        return
    name, runs = unit.disable(home)
    output.data(f"✅ Disabled: {name}")
    output.data("   Nothing was stopped: handlers that run go on.")
    if runs:
        output.data(f"   So does nectar up --keep; to end it, and all handlers with it: systemctl --user stop {name}")
