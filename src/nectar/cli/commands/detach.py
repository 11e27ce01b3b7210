"""``nectar detach``."""

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
    """Let the handler NAME, running or not, answer for one or more nodes no longer. Their questions stay where they are."""
    name = choose_name(session, name)
    attachments.detach(session.home, name, aliases, report=session.output.talk)
    if as_json:
        session.output.json({"name": name, "aliases": [*dict.fromkeys(aliases)]})
        return
    for alias in aliases:
        session.output.data(f"✅ Detached handler '{name}' from alias '{alias}'")
