"""``nectar exec``."""

from __future__ import annotations

import os

import click

from nectar.cli.arguments import answer_as_json, choose_name, complete
from nectar.cli.session import Session
from nectar.home import check_name
from nectar.manage.exec import execute, execute_in_source


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("handler", metavar="NAME|PATH", shell_complete=complete("names_and_files"))
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.option(
    "--json", "as_json", is_flag=True, expose_value=False, callback=answer_as_json, help="Print an error as one JSON object."
)
@click.pass_obj
def command(session: Session, *, handler: str, words: tuple[str, ...]) -> None:
    """Run a command in the environment of the handler NAME (or @ALIAS), or in the one that PATH would be launched in.

    It has the variables that the handler has, and nectar's API. What has a / in it is a path, and so are . and .., and a .py file that is there.
    """
    words = words[1:] if words[0] == "--" else words
    if not words or words[0].startswith("-"):
        raise click.UsageError("A command comes behind the handler; what is for nectar comes before it.")
    if os.sep in handler or handler in (".", "..") or (handler.endswith(".py") and os.path.exists(handler)):
        execute_in_source(session.home_to_make, handler, words, report=session.output.talk)
    else:
        execute(session.home, check_name(choose_name(session, handler)), words, report=session.output.warn)
