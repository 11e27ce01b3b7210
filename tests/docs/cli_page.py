"""docs/cli.md, made from what the command line says of itself: ``python -m tests.docs.cli_page`` writes it anew."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from nectar.cli.app import app
from nectar.cli.verbs import EXAMPLES, EXIT_CODES, GROUPS, VARIABLES
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = ROOT / "docs" / "cli.md"
INTRODUCTION = """\
# The command line

All verbs and options, as `nectar --help` and each verb's `--help` tell them: this page is made from the code.

- A `NAME` is a handler's. Where several are taken, patterns are too, in quotes, or the shell takes them for files (`'h0*'`). `@ALIAS` is
  the handler that answers for that node.
- Data goes to standard output, and talk, warnings and errors to standard error. `--json` prints one object with `"schema": 1`, errors
  included: `{"schema": 1, "error": {"kind": …, "message": …, "hint": …}}`, with `where` and `detail` where there is such a thing.
- On a terminal a line says what is waited for, and for how long at most, once that takes half a second. `-q` leaves it out.
- A word that other tools have for a verb (`ps`, `rm`, `tail`) runs nothing: the error tells nectar's.
"""


def make_page() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    yield "## Before or behind each verb\n"
    yield from _table(("option", "meaning"), map(_tell, (each for each in app.params if isinstance(each, click.Option))))
    yield "`exec` takes them before the handler only: what comes behind it is the command's.\n"
    yield "## Exit codes\n"
    yield from _table(("code", "meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items()))
    yield "A command that SIGTERM ended has 143, as from a shell.\n"
    yield "## Variables\n"
    yield from _table(("variable", "meaning"), ((f"`{name}`", meaning) for name, meaning in VARIABLES.items()))
    yield "uv's own variables count too, where a build may have them: see [Environments](environments.md).\n"
    for title, verbs in GROUPS.items():
        yield f"## {title}\n"
        for verb in verbs:
            yield from _describe(verb)


def _describe(verb: str) -> Iterator[str]:
    command = app.get_command(click.Context(app), verb)
    assert command is not None and command.help is not None
    yield f"### nectar {verb}\n"
    arguments = " ".join(filter(None, (_place(each) for each in command.params if isinstance(each, click.Argument))))
    yield f"`{' '.join(filter(None, (verb, '[OPTIONS]', arguments)))}`\n"
    yield f"{inspect.cleandoc(command.help)}\n"
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden and "--help" not in each.opts]
    if options:
        yield from _table(("option", "meaning"), map(_tell, options))
    yield f"```bash\n{EXAMPLES[verb]}\n```\n"


def _place(argument: click.Argument) -> str:
    if argument.metavar is not None:
        return argument.metavar
    name = str(argument.name).upper()
    if isinstance(argument.type, click.Choice):
        name = "|".join(argument.type.choices)
    return name if argument.required else f"[{name}]"


def _tell(option: click.Option) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "|".join(option.type.choices) if isinstance(option.type, click.Choice) else option.metavar
    return names if option.is_flag or not value else f"{names} `{value}`", option.help or ""


def _table(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for cells in (heads, ("---", "---"), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
