"""Arguments and options that several verbs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nectar.errors import NectarError

if TYPE_CHECKING:
    from collections.abc import Callable


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
entry_option = click.option(
    "--handler", "entry", metavar="EP", help="Which entry point of the group nectar.handlers, where there are several."
)


def names_or_all(names: tuple[str, ...], *, every: bool) -> None:
    """Check that a verb which takes names or ``--all`` was given one of the two.

    :raises click.UsageError: it was given both, or neither.
    """
    if bool(names) == every:
        raise click.UsageError("Give the names of handlers, or --all." if not every else "Give either names or --all.")


def each_of(names: list[str], act: Callable[[str], None], failed: Callable[[NectarError], None]) -> None:
    """Do something with each name, also after one of them failed.

    :param failed: is told of every failure but the last one, which is raised.
    """
    problems: list[NectarError] = []
    for name in names:
        try:
            act(name)
        except NectarError as error:
            problems.append(error)
    for problem in problems[:-1]:
        failed(problem)
    if problems:
        raise problems[-1]
