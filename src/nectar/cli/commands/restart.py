"""``nectar restart``."""

from __future__ import annotations

import click

from nectar.cli.arguments import allow_option, choose_names, json_option, names_argument, runs, shared_option
from nectar.cli.session import Session
from nectar.cli.several import act_on_each
from nectar.manage import launch
from nectar.manage.daemon import hosts


@click.command()
@names_argument
@click.option("--all", "every", is_flag=True, help="All handlers that run, or should.")
@click.option("--upgrade", is_flag=True, help="Resolve anew the dependencies of what has no lock.")
@allow_option
@shared_option
@json_option
@click.pass_obj
def command(
    session: Session, *, names: tuple[str, ...], every: bool, upgrade: bool, allow: tuple[str, ...], shared: bool, as_json: bool
) -> int:
    """Run handlers with their code, lock, Python and settings as they are now.

    The new one is built and has loaded the handler before the old one is stopped; when that fails, the old one goes on. A
    stopped handler is started. One with a wall is granted what --allow says, beside what it is granted already.
    """
    home = session.home
    chosen = choose_names(session, names, every=every, among=runs, none="There is no running handler.")
    if shared:
        hosts.enter_anyway(home)
    return act_on_each(
        session,
        chosen,
        lambda name, report: launch.restart(home, name, upgrade=upgrade, allow=allow, report=report),
        "restarted",
        starts=True,
        among=runs if every else None,
        as_json=as_json,
    )
