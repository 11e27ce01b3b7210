"""``nectar attach``."""

from __future__ import annotations

import click

from nectar.cli.arguments import choose_name, name_argument
from nectar.cli.session import Session
from nectar.home import check_alias
from nectar.manage.handlers import attachments


@click.command()
@name_argument()
@click.argument("aliases", type=check_alias, nargs=-1, required=True, metavar="ALIAS...")
@click.pass_obj
def command(session: Session, *, name: str, aliases: tuple[str, ...]) -> None:
    """Let the running handler NAME answer for one or more nodes: all of them, or none. What waits there is answered."""
    name = choose_name(session, name)
    attachments.attach(session.home, name, aliases, report=session.output.talk)
    for alias in aliases:
        session.output.data(f"✅ Attached handler '{name}' to alias '{alias}'")
