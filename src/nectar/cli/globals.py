"""What holds for every verb: the options that may stand before it and behind it, and how its help is laid out."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import click

from nectar import __version__
from nectar.cli.session import Session
from nectar.cli.streams import count_columns
from nectar.cli.verbs import EXAMPLES, VERBS

if TYPE_CHECKING:
    from collections.abc import Iterable

_NARROW = 60
"""Columns below which a help has its options above what they mean, and not beside it."""


class Formatter(click.HelpFormatter):
    """As wide as the terminal is, also where that has fewer columns than click would make do with."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        if width is None:
            import shutil

            # The terminal's also where a pager stands in between, which has the output.
            beside = next(filter(None, map(count_columns, (1, 2))), 80)
            columns = shutil.get_terminal_size((beside, 24)).columns
            if columns < _NARROW:
                width = max(columns, 20) - 1
        super().__init__(indent_increment, width, max_width)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([*rows], min(col_max, self.width // 4) if self.width < _NARROW else col_max, col_spacing)


class Context(click.Context):
    """That of each of nectar's own commands."""

    formatter_class = Formatter


@functools.cache
def global_options() -> list[click.Parameter]:
    """Those that may stand behind a verb as well as before it, where they count."""
    return [
        click.Option(
            ["--data-dir"],
            metavar="DIR",
            help="The world to work in; launch, test, new and dev make it. [default: ~/.bee-hive]",
            expose_value=False,
            callback=_settle,
        ),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            help="When to colour. [default: auto]",
            expose_value=False,
            callback=_settle,
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say less.", expose_value=False, callback=_settle),
        click.Option(["-v", "--verbose"], is_flag=True, help="Say more.", expose_value=False, callback=_settle),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            help="Show the version and exit.",
            expose_value=False,
            callback=_tell_version,
        ),
    ]


def set_help_option(command: click.Command) -> None:
    """Give a command its ``--help``: click's own looks for a translation of its text each time, which takes a millisecond."""
    command.add_help_option = False
    command.params.append(
        click.Option(
            ["-h", "--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            help="Show this message and exit.",
            callback=_show_help,
        )
    )


def dress(command: click.Command, verb: str) -> None:
    """Make a command one of nectar's verbs: with its name and its text, the options that all have, and an example."""
    command.name, command.short_help = verb, VERBS[verb]
    command.context_class = Context
    command.epilog = (
        f"\b\nExample:\n  {EXAMPLES[verb]}\n\nBefore or behind the verb: --data-dir, --color, -q, -v, --version (nectar --help)."
    )
    set_help_option(command)
    add_global_options(command)


def add_global_options(command: click.Command) -> None:
    """Let them stand behind a verb, a plugin's too, but for those that it has itself."""
    known = {name for parameter in command.params for name in (*parameter.opts, parameter.name)}
    for option in global_options():
        if known.isdisjoint((*option.opts, option.name)):
            behind = copy.copy(option)
            behind.hidden = True  # type: ignore[attr-defined]
            command.params.append(behind)


def _settle(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    session = context.find_object(Session)
    if not value or session is None:  # it is not given here, or nothing is to be run
        return
    if parameter.name == "data_dir":
        session.data_dir = value
    else:
        session.output.set(**{str(parameter.name): value})


def _show_help(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(context.get_help())
        context.exit()


def _tell_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"nectar {__version__}")
        context.exit()
