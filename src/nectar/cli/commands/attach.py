"""``nectar attach``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.home import check_alias, check_name
from nectar.manage.handlers import attachments


@click.command()
@click.argument("name", type=check_name)
@click.argument("aliases", type=check_alias, nargs=-1, required=True, metavar="ALIAS...")
@click.pass_obj
def command(session: Session, *, name: str, aliases: tuple[str, ...]) -> None:
    """Let the running handler NAME answer for one or more nodes: all of them, or none. What waits there is answered."""
    attachments.attach(session.home, name, aliases, report=session.output.talk)
    for alias in aliases:
        session.output.data(f"✅ Attached handler '{name}' to alias '{alias}'")
