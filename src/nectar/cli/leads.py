"""Where a mistaken name leads: to the nearest one, or to the command that was meant, where a node stands in a handler's place.

It is only asked when something was not found, and never keeps an error from being told.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from nectar.errors import NectarError
from nectar.manage.handlers import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nectar.errors import UnknownNameError
    from nectar.home import Home
    from nectar.manage.handlers.registry import Record

_LONGEST = 200
"""Characters of a word that is shown again."""


def explain(error: UnknownNameError, home: Home, words: Sequence[str]) -> None:
    """Have an error tell what can be told about the name.

    :param words: the command line, without the program.
    """
    try:
        records, aliases = registry.read(home), home.aliases()
    except (NectarError, OSError):
        return
    about = _about_handler if error.what == "handler" else _about_node
    message, error.hint = about(error, home, list(words), records, aliases)
    if message != error.message:
        error.message, error.where = message, None  # it is not about what is missing there


def find_near(word: str, known: Iterable[str]) -> str | None:
    """The one that is most like a word, where one is like it at all."""
    import difflib

    near = difflib.get_close_matches(word, [*known], n=1, cutoff=0.75)  # a slip, and not another word
    return near[0] if near else None


def _about_handler(
    error: UnknownNameError, home: Home, words: list[str], records: dict[str, Record], aliases: list[str]
) -> tuple[str, str | None]:
    name = error.name
    if name in aliases:
        meant = next((word for word in words if word in records), None)
        if meant is not None and {"attach", "detach"} & {*words}:
            return f"{name!r} is a node, and {meant!r} a handler: the handler comes first.", _typed(
                words, {name: meant, meant: name}
            )
        owner = registry.find_owner(records, name)
        if owner is not None:
            return f"There is no handler {name!r}: that is a node, and {owner!r} is its handler.", _typed(words, {name: owner})
        return f"There is no handler {name!r}: that is a node, and no handler answers for it.", f"nectar attach NAME {name}"
    for each, record in records.items():
        if record.handler and name in (record.handler, os.path.basename(record.handler)):
            return f"There is no handler {name!r}: that is the file of {each!r}.", _typed(words, {name: each})
    if not records:
        return error.message, f"There is none at all in {home.data_dir}."
    return error.message, _add(find_near(name, records), error.hint)


def _about_node(
    error: UnknownNameError, _home: Home, words: list[str], records: dict[str, Record], aliases: list[str]
) -> tuple[str, str | None]:
    alias = error.name
    if "submit" in words and (meant := next((word for word in words if word in aliases), None)) is not None:
        return f"{_shown(alias)!r} is no node, and {meant!r} is one: the node comes first.", _typed(
            words, {alias: meant, meant: alias}
        )
    if alias in records:
        has = records[alias].attached_aliases
        if "submit" in words and has:
            return f"There is no node {alias!r}: that is a handler, and it answers for {', '.join(has)}.", _typed(
                words, {alias: has[0]}
            )
        others = (
            f"nectar attach {alias} ALIAS" if "submit" in words else f"The nodes that there are: {', '.join(aliases) or 'none'}."
        )
        return f"There is no node {alias!r}: that is a handler.", others
    return error.message, _add(find_near(alias, aliases), error.hint)


def _add(near: str | None, hint: str | None) -> str | None:
    return hint if near is None else f"Did you mean {near!r}? {hint or ''}".rstrip()


def _typed(words: list[str], instead: dict[str, str]) -> str:
    """The command line, with other words in it."""
    return shlex.join(["nectar", *(_shown(instead.get(word, word)) for word in words)])


def _shown(word: str) -> str:
    return word if len(word) <= _LONGEST else f"{word[:_LONGEST]}…"
