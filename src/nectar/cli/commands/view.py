"""``nectar view``."""

from __future__ import annotations

import click

from nectar.cli.arguments import json_option
from nectar.cli.render import table
from nectar.cli.session import Session
from nectar.manage import handlers


@click.command(short_help="What handlers there are, and how they do.")
@json_option
@click.pass_obj
def command(session: Session, *, as_json: bool) -> None:
    """List all handlers, whether they run, and the nodes that they answer for."""
    records = handlers.records(session.home)
    if as_json:
        session.output.json({"handlers": [{"name": name, **record.to_mapping()} for name, record in records.items()]})
        return
    table(session.output, records)
    if not records:
        session.output.talk("The first one: nectar launch my_handler.py my_handler")
