"""``nectar start``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nectar.cli.arguments import choose_names, json_option, names_argument, shared_option
from nectar.cli.session import Session
from nectar.cli.several import act_on_each
from nectar.manage import launch
from nectar.manage.daemon import hosts

if TYPE_CHECKING:
    from nectar.manage.handlers.registry import Record


@click.command()
@names_argument
@click.option("--all", "every", is_flag=True, help="All handlers that do not run.")
@shared_option
@json_option
@click.pass_obj
def command(session: Session, *, names: tuple[str, ...], every: bool, shared: bool, as_json: bool) -> int:
    """Start stopped handlers again, as they were launched, with their aliases.

    With --all, also those that were stopped on purpose, which `nectar up` leaves as they are.
    """
    home = session.home
    chosen = choose_names(session, names, every=every, among=_is_stopped, none="There is no stopped handler.")
    if shared:
        hosts.enter_anyway(home)
    return act_on_each(
        session,
        chosen,
        lambda name, report: launch.start(home, name, report=report),
        "started",
        starts=True,
        among=_is_stopped if every else None,
        as_json=as_json,
    )


def _is_stopped(record: Record) -> bool:
    return record.status != "running"
