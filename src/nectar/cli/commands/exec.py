"""``nectar exec``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.home import check_name
from nectar.manage.exec import execute


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", type=check_name)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.pass_obj
def command(session: Session, *, name: str, words: tuple[str, ...]) -> None:
    """Run a command in the environment of the handler NAME, with the variables that the handler has, and nectar's API."""
    execute(session.home, name, words, report=session.output.warn)
