"""``nectar logs``."""

from __future__ import annotations

import click

from nectar.cli.arguments import choose_name, name_argument
from nectar.cli.numbers import Number
from nectar.cli.session import Session
from nectar.manage.handlers import logs


@click.command()
@name_argument()
@click.option(
    "-n", "--lines", "last", type=Number(0), default=20, metavar="N", help="How many of the last lines, 0 or more. [default: 20]"
)
@click.option("--follow/--no-follow", default=True, help="Go on with what is written, until Ctrl-C. [default: follow]")
@click.pass_obj
def command(session: Session, *, name: str, last: int, follow: bool) -> None:
    """Show the last lines of a handler's log, and follow it until Ctrl-C."""
    output = session.output
    for line in logs.read_lines(session.home, choose_name(session, name), last=last, follow=follow, wanted=lambda: output.is_read):
        output.data(line)
