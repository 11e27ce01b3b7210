"""``nectar stop``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nectar.cli.arguments import choose_names, json_option, names_argument, runs
from nectar.cli.session import Session
from nectar.cli.several import act_on_each
from nectar.cli.values import Number
from nectar.manage.handlers import handlers, turns

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 86400
"""Seconds that a daemon takes."""


@click.command()
@names_argument
@click.option("--all", "every", is_flag=True, help="All handlers that run, or are being started.")
@click.option(
    "--timeout",
    type=Number(0, LONGEST, kind=float),
    metavar="S",
    help="Seconds for what runs to finish, 0 to 86,400. [default: its stop_timeout]",
)
@json_option
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool, timeout: float | None, as_json: bool) -> int:
    """Stop handlers. What runs may finish, what waits stays waiting, and the attachments stay.

    Where another command is starting one, or launching it, that gives up.
    """
    home = session.home
    chosen = choose_names(
        session, names, every=every, among=runs, also=turns.list_being_started, none="There is no running handler."
    )

    def stop(name: str, report: Callable[[str], None]) -> None:
        handlers.stop(home, name, timeout=timeout, report=report)

    return act_on_each(session, chosen, stop, "stopped", among=runs if every else None, as_json=as_json)
