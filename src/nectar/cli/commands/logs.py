"""``nectar logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nectar import events
from nectar.cli.arguments import answer_as_json, list_named, names_argument
from nectar.cli.session import Session
from nectar.cli.values import Number, read_moment
from nectar.manage.handlers import logs
from nectar.manage.handlers.logged import Asked

if TYPE_CHECKING:
    from nectar.events import Event

LAST = 20


@click.command()
@names_argument
@click.option(
    "-n",
    "--lines",
    "--tail",
    "last",
    type=Number(0),
    metavar="N",
    help="How many of the last lines of each, 0 or more; of the last events where some are chosen. [default: 20; all, with --since, "
    "--until or --computation]",
)
@click.option("-f", "--follow/--no-follow", default=True, help="Go on with what is written, until Ctrl-C. [default: follow]")
@click.option(
    "--since", type=read_moment, metavar="WHEN", help="What was written since: 10m, 1h30m or 2d ago, or 2026-11-25T10:12."
)
@click.option("--until", type=read_moment, metavar="WHEN", help="What was written until then.")
@click.option(
    "--level",
    type=click.Choice([level.lower() for level in events.LEVELS], case_sensitive=False),
    help="What matters as much, or more.",
)
@click.option("--computation", type=events.as_word, metavar="ID", help="All of one computation.")
@click.option("--json", "as_json", is_flag=True, callback=answer_as_json, help="Print a JSON object for each event.")
@click.pass_obj
def command(
    session: Session,
    *,
    names: tuple[str, ...],
    last: int | None,
    follow: bool,
    since: float | None,
    until: float | None,
    level: str | None,
    computation: str | None,
    as_json: bool,
) -> None:
    """Show the last lines of handlers' logs, and follow them until Ctrl-C, or until the handlers are stopped.

    Of several handlers, each line has the handler's name before it.
    """
    output, home = session.output, session.home
    chosen = list_named(session, names)
    asked = Asked(since, until, level and level.upper(), computation)
    width = max(map(len, chosen))

    def show(name: str, text: str) -> None:
        output.data(f"{name:<{width}} | {text}" if len(chosen) > 1 else text)

    if asked == Asked() and not as_json:
        count = LAST if last is None else last
        lines = logs.read_lines(home, chosen, last=count, follow=follow, wanted=lambda: output.is_read, report=output.talk)
        for name, line in lines:
            show(name, line)
        return
    if last is None and (since, until, computation) == (None, None, None):
        last = LAST
    found = logs.read_events(home, chosen, asked, last=last, follow=follow, wanted=lambda: output.is_read, report=output.talk)
    for name, event in found:
        if as_json:
            output.json(_make_fields(name, event))
        else:
            for line in events.show(event).split("\n"):
                show(name, line)


def _make_fields(name: str, event: Event) -> dict[str, object]:
    """:returns: ``handler``, ``time`` (Unix seconds, null where nobody knows it), ``level``, ``alias``, ``computation``, ``text``."""
    whose = {"alias": event.alias or None, "computation": event.computation or None}
    return {"handler": name, "time": event.time or None, "level": event.level, **whose, "text": event.text}
