"""``nectar start``."""

from __future__ import annotations

import click

from nectar.cli.arguments import each_of, names_or_all
from nectar.cli.render import launched
from nectar.cli.session import Session
from nectar.home import check_name
from nectar.manage import handlers, launch


@click.command(short_help="Start stopped handlers again.")
@click.argument("names", type=check_name, nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="All handlers that do not run.")
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool) -> None:
    """Start stopped handlers again, as they were launched, with their aliases."""
    names_or_all(names, every=every)
    home, output = session.home, session.output
    if every:
        chosen = [name for name, record in handlers.records(home).items() if record.status != "running"]
        if not chosen:
            output.talk("There is no stopped handler.")
    else:
        chosen = [name for name in dict.fromkeys(names) if handlers.require(home, name)]
    each_of(chosen, lambda name: launched(output, launch.start(home, name, report=output.talk), "started"), output.error)
