"""``nectar view``."""

from __future__ import annotations

import click

from nectar.cli.arguments import json_option
from nectar.cli.render import make_detail_fields, make_fields, show_detail, show_table
from nectar.cli.session import Session
from nectar.home import check_name
from nectar.manage.handlers import handlers


@click.command()
@click.argument("name", type=check_name, required=False)
@json_option
@click.pass_obj
def command(session: Session, *, name: str | None, as_json: bool) -> None:
    """List all handlers, whether they run, and the nodes that they answer for; or show the handler NAME in detail."""
    home, output = session.home, session.output
    if name is not None:
        from nectar.manage.handlers.inspection import look

        found = look(home, name)
        if as_json:
            output.json(make_detail_fields(found))
        else:
            show_detail(output, found)
        return
    from nectar.manage.handlers.inspection import find_failing

    records = handlers.refresh(home)
    problems = find_failing(home, records)
    if as_json:
        output.json({"handlers": [make_fields(home, name, record, problems.get(name)) for name, record in records.items()]})
        return
    show_table(output, records, problems)
    if not records:
        output.talk("The first one: nectar launch my_handler.py my_handler")
