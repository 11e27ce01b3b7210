"""Arguments and options that several verbs share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nectar.cli.session import Session
from nectar.errors import NotFoundError
from nectar.home import check_alias, check_name
from nectar.manage.handlers import handlers, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home
    from nectar.manage.daemon.given import Given
    from nectar.manage.handlers.registry import Record
    from nectar.manage.source.source import Source
    from nectar.manage.wall.grants import Grants

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _check_extra(name: str) -> str:
    from nectar.manage.source import extras  # which verbs that build nothing do without

    return extras.check(name)


def complete(what: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """What completes a word in a shell.

    :param what: that :mod:`nectar.cli.completing` offers.
    """

    def offer(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[Any]:
        from nectar.cli import completing  # which no command needs

        offered: list[Any] = getattr(completing, f"offer_{what}")(context, incomplete)
        return offered

    return offer


def _check_one(word: str) -> str:
    """A handler as a person names it: by its name, or as ``@ALIAS`` by the node that it answers for."""
    if word.startswith("@"):
        check_alias(word[1:])
        return word
    return check_name(word)


def _check_several(word: str) -> str:
    """The same, or a pattern of names as a shell has them."""
    return word if _is_pattern(word) and not word.startswith("@") else _check_one(word)


def _is_pattern(word: str) -> bool:
    return any(each in word for each in "*?[")


def name_argument(*, required: bool = True) -> Callable[[_Command], _Command]:
    """One handler; :func:`choose_name` says which."""
    return click.argument("name", type=_check_one, required=required, shell_complete=complete("names"))


names_argument = click.argument("names", type=_check_several, nargs=-1, metavar="NAME...", shell_complete=complete("names"))
"""Any number of handlers; :func:`choose_names` says which."""


def answer_as_json(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
    """Have errors come as ``--json`` says; the callback of that option."""
    session = context.find_object(Session)
    if session is not None:
        session.output.as_json = value
    return value


json_option = click.option("--json", "as_json", is_flag=True, callback=answer_as_json, help="Print one JSON object.")
shared_option = click.option(
    "--shared-data-dir",
    "shared",
    is_flag=True,
    help="Also where another machine was running handlers in the data dir a moment ago.",
)
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
no_build_option = click.option(
    "--no-build",
    "no_build",
    is_flag=True,
    help="Install wheels alone, and build nothing but what uv builds without running any of it.",
)
python_option = click.option("--python", metavar="V", help="The Python to use, instead of what the project asks for.")
env_option = click.option(
    "--env", "pairs", multiple=True, metavar="K[=V]", help="A variable for the handler, or one of this shell's; may be repeated."
)
env_file_option = click.option(
    "--env-file",
    "files",
    multiple=True,
    type=Path,  # click's own looks for a translation of its name when it is made, which all verbs would pay for
    shell_complete=complete("files"),
    metavar="F",
    help="A file of such, read at each start.",
)


sandbox_option = click.option(
    "--sandbox/--no-sandbox",
    "sandbox",
    default=None,
    help="Behind a wall, or not: there it cannot reach what --allow does not grant.",
)
allow_option = click.option(
    "--allow",
    "allow",
    multiple=True,
    metavar="WHAT",
    help="Grant it network, read=PATH, write=PATH or gpu behind its wall; may be repeated.",
)


def read_wall(source: Source, sandbox: bool | None, allow: tuple[str, ...]) -> Grants | None:
    """What ``--sandbox`` and ``--allow`` say; None where there is to be no wall.

    :raises NectarError: something of it cannot be granted, or would be without a wall.
    """
    from nectar.manage.handlers import granted

    return granted.decide(source, sandbox, allow, os.environ, where="--allow")


def read_given(pairs: tuple[str, ...], files: tuple[Path, ...]) -> Given:
    """What ``--env`` and ``--env-file`` give.

    :raises UsageError: a pair is none.
    """
    from nectar.manage.daemon.given import Given, parse

    return Given(env=dict(parse(pair, os.environ) for pair in pairs), files=tuple(str(file.absolute()) for file in files))


def choose_name(session: Session, word: str) -> str:
    """The handler that a person named.

    :raises NotFoundError: it is ``@ALIAS``, and there is no such node, or no handler answers for it.
    """
    if not word.startswith("@"):
        return word
    alias = word[1:]
    owner = registry.find_owner(registry.read(session.home), alias)
    if owner is None:
        session.home.require_alias(alias)
        raise NotFoundError(f"No handler answers for {alias!r}.", hint=f"nectar attach NAME {alias}")
    return owner


def choose_names(
    session: Session,
    names: tuple[str, ...],
    *,
    every: bool,
    among: Callable[[Record], bool],
    also: Callable[[Home], list[str]] | None = None,
    none: str,
) -> list[str]:
    """The handlers for a verb that takes names, ``@ALIAS``, patterns, or ``--all``.

    :param among: of which handlers ``--all`` takes all, and a pattern those that it fits.
    :param also: names that these take besides.
    :param none: what to say where there are none of those.
    :raises click.UsageError: it was given both, or neither.
    :raises NotFoundError: there is none of a name, or none that a pattern fits.
    """
    if bool(names) == every:
        raise click.UsageError("Give the names of handlers, or --all." if not every else "Give either names or --all.")
    chosen: list[str] = []
    for word in names or ("*",):
        if _is_pattern(word):
            chosen += _find_all(session, word, among, also, must_fit=not every)
        else:
            chosen.append(choose_name(session, word))
            handlers.require_known(session.home, chosen[-1])
    if not chosen:
        session.output.talk(none)
    return list(dict.fromkeys(chosen))


def list_named(session: Session, names: tuple[str, ...]) -> list[str]:
    """The handlers for a verb that only looks at what names, ``@ALIAS`` and patterns say; whether there are some of these is its to know.

    :raises click.UsageError: it was given none.
    :raises NotFoundError: there is none that a pattern fits.
    """
    if not names:
        raise click.UsageError("Give the names of handlers.")
    chosen: list[str] = []
    for word in names:
        fitting = (
            _find_all(session, word, lambda _: True, None, must_fit=True) if _is_pattern(word) else [choose_name(session, word)]
        )
        chosen += fitting
    return list(dict.fromkeys(chosen))


def _find_all(
    session: Session,
    pattern: str,
    among: Callable[[Record], bool],
    also: Callable[[Home], list[str]] | None,
    *,
    must_fit: bool,
) -> list[str]:
    """:raises NotFoundError: the pattern fits no handler at all, and it must."""
    import fnmatch

    records = handlers.refresh(session.home)
    others = [] if also is None else also(session.home)
    fitting = [name for name in dict.fromkeys((*records, *others)) if fnmatch.fnmatchcase(name, pattern)]
    if must_fit and not fitting:
        raise NotFoundError(f"No handler's name fits {pattern!r}.", hint="nectar view lists the handlers.")
    return [name for name in fitting if name in others or among(records[name])]


def runs(record: Record) -> bool:
    """Whether a handler runs, or should."""
    return "running" in (record.status, record.desired)
