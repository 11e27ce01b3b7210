"""``nectar up``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.cli.several import Tally
from nectar.manage import up


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def command(session: Session, *, dry_run: bool) -> int:
    """Start every handler that should run and does not: after a crash, or when the machine was started anew.

    What was stopped stays stopped. Several are started at a time.
    """
    home, output = session.home, session.output
    down = up.find_down(home)
    if not down:
        output.talk("All handlers that should run do.")
        return 0
    if dry_run:
        for name in down:
            output.data(f"{name}: would be started")
        return 0
    tally = Tally(session, "started", len(down))
    for outcome in up.carry_out(home, up.make_calls(home, down, report=output.talk)):
        tally.take(outcome)
    tally.show()
    return tally.code
