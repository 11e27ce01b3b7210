"""``nectar attach``."""

from __future__ import annotations

import click

from nectar.cli.arguments import choose_name, complete, json_option, name_argument
from nectar.cli.session import Session
from nectar.home import check_alias
from nectar.manage.handlers import attachments


@click.command()
@name_argument()
@click.argument("aliases", type=check_alias, nargs=-1, required=True, metavar="ALIAS...", shell_complete=complete("aliases"))
@json_option
@click.pass_obj
def command(session: Session, *, name: str, aliases: tuple[str, ...], as_json: bool) -> None:
    """Let the running handler NAME answer for one or more nodes: all of them, or none. What waits there is answered."""
    name = choose_name(session, name)
    attachments.attach(session.home, name, aliases, report=session.output.talk)
    if as_json:
        session.output.json({"name": name, "aliases": [*dict.fromkeys(aliases)]})
        return
    for alias in aliases:
        session.output.data(f"✅ Attached handler '{name}' to alias '{alias}'")
