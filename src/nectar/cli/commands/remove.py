"""``nectar remove``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nectar.cli.arguments import choose_names, json_option, names_argument
from nectar.cli.session import Session
from nectar.cli.several import act_on_each
from nectar.manage.handlers import handlers, turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.manage.handlers.registry import Record


@click.command()
@names_argument
@click.option("--all", "every", is_flag=True, help="All handlers that are stopped; with --stop, all.")
@click.option("--stop", is_flag=True, help="Stop those that run.")
@json_option
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool, stop: bool, as_json: bool) -> int:
    """Remove stopped handlers: their records with the attachments, their variables, sockets and logs. Sources stay."""
    home = session.home

    def among(record: Record) -> bool:
        return stop or record.status != "running"

    chosen = choose_names(
        session,
        names,
        every=every,
        among=among,
        also=turns.list_being_started if stop else None,
        none="There is nothing to remove.",
    )

    def remove(name: str, report: Callable[[str], None]) -> None:
        handlers.remove(home, name, stop_first=stop, report=report)

    return act_on_each(session, chosen, remove, "removed", among=among if every else None, as_json=as_json)
