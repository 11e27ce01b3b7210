"""``nectar start``."""

from __future__ import annotations

import click

from nectar.cli.arguments import act_on_each, choose_names
from nectar.cli.render import show_launched
from nectar.cli.session import Session
from nectar.home import check_name
from nectar.manage import launch


@click.command()
@click.argument("names", type=check_name, nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="All handlers that do not run.")
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool) -> None:
    """Start stopped handlers again, as they were launched, with their aliases."""
    home, output = session.home, session.output
    chosen = choose_names(
        session, names, every=every, among=lambda record: record.status != "running", none="There is no stopped handler."
    )
    act_on_each(chosen, lambda name: show_launched(output, launch.start(home, name, report=output.talk), "started"), output.error)
