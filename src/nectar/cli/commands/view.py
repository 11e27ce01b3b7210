"""``nectar view``."""

from __future__ import annotations

import click

from nectar.cli import render
from nectar.cli.arguments import choose_name, json_option, name_argument
from nectar.cli.session import Session
from nectar.manage.handlers import handlers

FOUND = 7
"""The exit code of ``--check`` where something is wrong."""


@click.command()
@name_argument(required=False)
@click.option("--brief", is_flag=True, help="A line for each handler.")
@click.option("--watch", is_flag=True, help="Show it again each second, until Ctrl-C.")
@click.option("--check", is_flag=True, help="Say only what is wrong, a line each; the exit code is 7 where anything is.")
@json_option
@click.pass_obj
def command(session: Session, *, name: str | None, brief: bool, watch: bool, check: bool, as_json: bool) -> None:
    """List all handlers, whether they run, and the nodes that they answer for; or show the handler NAME in detail."""
    if sum((brief, check, as_json)) > 1 or (watch and (check or as_json)) or (brief and name):
        raise click.UsageError("These do not go together: one of --brief, --check and --json; --watch not with the last two.")
    name = None if name is None else choose_name(session, name)
    if watch:
        from nectar.cli.screen import redraw

        redraw(session.output, lambda: _show(session, name, brief=brief))
    elif check:
        _check(session, name)
    else:
        _show(session, name, brief=brief, as_json=as_json)


def _show(session: Session, name: str | None, *, brief: bool, as_json: bool = False) -> None:
    home, output = session.home, session.output
    from nectar.manage.handlers import inspection

    if name is not None:
        found = inspection.look(home, name)
        if as_json:
            output.json(render.make_detail_fields(found))
        else:
            render.show_detail(output, found)
        return
    records, broken = handlers.see(home)
    if broken is not None and (as_json or not records):
        raise broken
    seen = inspection.survey(home, records)
    if as_json:
        output.json({"handlers": [render.make_fields(home, each) for each in seen]})
    elif brief:
        render.show_brief(output, seen)
    else:
        render.show_table(output, seen)
    if broken is not None:
        output.warn("There may be more: these are those that can be read.")
        raise broken
    if not seen and not as_json:
        output.talk("The first one: nectar launch my_handler.py my_handler")


def _check(session: Session, name: str | None) -> None:
    from nectar.manage.handlers import inspection

    records = handlers.refresh(session.home)
    if name is not None:
        records = {name: handlers.look(session.home, name)}
    ill = [seen for seen in inspection.survey(session.home, records) if not seen.health.is_well]
    for seen in ill:
        session.output.data(f"{seen.name}: {seen.health.state.value}: {render.describe(seen.health)}")
    if ill:
        click.get_current_context().exit(FOUND)
