"""``nectar remove``."""

from __future__ import annotations

import click

from nectar.cli.arguments import act_on_each, choose_names
from nectar.cli.session import Session
from nectar.home import check_name
from nectar.manage.handlers import handlers, turns


@click.command()
@click.argument("names", type=check_name, nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="All handlers that are stopped; with --stop, all.")
@click.option("--stop", is_flag=True, help="Stop those that run.")
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool, stop: bool) -> None:
    """Remove stopped handlers: their records with the attachments, their variables, sockets and logs. Sources stay."""
    home, output = session.home, session.output
    chosen = choose_names(
        session,
        names,
        every=every,
        among=lambda record: stop or record.status != "running",
        also=turns.list_being_started if stop else None,
        none="There is nothing to remove.",
    )

    def remove(name: str) -> None:
        handlers.remove(home, name, stop_first=stop, report=output.talk)
        output.data(f"✅ Handler removed: {name}")

    act_on_each(chosen, remove, output.error)
