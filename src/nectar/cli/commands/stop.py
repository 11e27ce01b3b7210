"""``nectar stop``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from nectar.cli.arguments import choose_names, runs
from nectar.cli.session import Session
from nectar.cli.several import act_on_each
from nectar.home import check_name
from nectar.manage.handlers import handlers, turns

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 86400
"""Seconds that a daemon takes."""


def _a_number(_context: click.Context, _parameter: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and math.isnan(seconds):
        raise click.BadParameter("nan is no number of seconds.")
    return seconds


@click.command()
@click.argument("names", type=check_name, nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="All handlers that run, or are being started.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, LONGEST),
    callback=_a_number,
    metavar="S",
    help="Seconds for what runs to finish. [default: its stop_timeout]",
)
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool, timeout: float | None) -> int:
    """Stop handlers. What runs may finish, what waits stays waiting, and the attachments stay.

    Where another command is starting one, or launching it, that gives up.
    """
    home = session.home
    chosen = choose_names(
        session, names, every=every, among=runs, also=turns.list_being_started, none="There is no running handler."
    )

    def stop(name: str, report: Callable[[str], None]) -> None:
        handlers.stop(home, name, timeout=timeout, report=report)

    return act_on_each(session, chosen, stop, "stopped", among=runs if every else None)
