"""Arguments and options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nectar.manage.handlers import handlers

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.cli.session import Session
    from nectar.home import Home
    from nectar.manage.daemon.given import Given
    from nectar.manage.handlers.registry import Record


def _check_extra(name: str) -> str:
    from nectar.manage.source import extras  # which verbs that build nothing do without

    return extras.check(name)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
extra_option = click.option(
    "--extra",
    "extras",
    type=_check_extra,
    multiple=True,
    metavar="NAME",
    help="One of the project's optional dependencies, too; may be repeated.",
)
entry_option = click.option(
    "--handler", "entry", metavar="EP", help="Which entry point of the group nectar.handlers, where there are several."
)
build_env_option = click.option(
    "--build-env",
    "build_env",
    multiple=True,
    metavar="NAME",
    help="A variable of this shell that builds get, besides what all get; may be repeated.",
)
python_option = click.option("--python", metavar="V", help="The Python to use, instead of what the project asks for.")
env_option = click.option(
    "--env", "pairs", multiple=True, metavar="K[=V]", help="A variable for the handler, or one of this shell's; may be repeated."
)
env_file_option = click.option(
    "--env-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="F",
    help="A file of such, read at each start.",
)


def read_given(pairs: tuple[str, ...], files: tuple[Path, ...]) -> Given:
    """What ``--env`` and ``--env-file`` give.

    :raises UsageError: a pair is none.
    """
    from nectar.manage.daemon.given import Given, parse

    return Given(env=dict(parse(pair, os.environ) for pair in pairs), files=tuple(str(file.absolute()) for file in files))


def choose_names(
    session: Session,
    names: tuple[str, ...],
    *,
    every: bool,
    among: Callable[[Record], bool],
    also: Callable[[Home], list[str]] | None = None,
    none: str,
) -> list[str]:
    """The handlers for a verb that takes names or ``--all``.

    :param among: of which handlers ``--all`` takes all.
    :param also: names that it takes besides.
    :param none: what to say where there are none of those.
    :raises click.UsageError: it was given both, or neither.
    :raises NotFoundError: there is none of a name.
    """
    if bool(names) == every:
        raise click.UsageError("Give the names of handlers, or --all." if not every else "Give either names or --all.")
    if not every:
        for name in names:
            handlers.require_known(session.home, name)
        return list(dict.fromkeys(names))
    chosen = [name for name, record in handlers.refresh(session.home).items() if among(record)]
    if also is not None:
        chosen += [name for name in also(session.home) if name not in chosen]
    if not chosen:
        session.output.talk(none)
    return chosen


def runs(record: Record) -> bool:
    """Whether a handler runs, or should."""
    return "running" in (record.status, record.desired)
