"""What a shell is offered to complete a word with: names of handlers and nodes, as the registry and the data dir have them.

No daemon is asked, and nothing is said where there is nothing to offer: a person is typing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from nectar.cli.session import Session
from nectar.errors import NectarError
from nectar.manage.handlers import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from nectar.home import Home


def offer_names(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Handlers, and once an ``@`` is there the nodes that they answer for."""
    try:
        records = registry.read(_home(context))
    except (NectarError, OSError):
        return []
    if incomplete.startswith("@"):
        return _items((f"@{alias}" for record in records.values() for alias in record.attached_aliases), context, incomplete)
    return _items(records, context, incomplete)


def offer_aliases(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Nodes; for ``detach`` those that the handler answers for."""
    try:
        home = _home(context)
        if context.info_name != "detach":
            return _items(home.aliases(), context, incomplete)
        record = registry.read(home).get(str(context.params.get("name")))
    except (NectarError, OSError):
        return []
    return _items(() if record is None else record.attached_aliases, context, incomplete)


def offer_files(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell finds."""
    return [CompletionItem(incomplete, type="file")]


def offer_names_and_files(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """What ``exec`` takes: a path is one with a ``/`` in it, or with a dot."""
    return offer_files(context, incomplete) if "/" in incomplete or "." in incomplete else offer_names(context, incomplete)


def _home(context: click.Context) -> Home:
    session = context.find_object(Session)
    assert session is not None
    return session.home_to_make


def _items(words: Iterable[str], context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Those that begin so, and were not given yet."""
    given = {word for value in context.params.values() if isinstance(value, tuple) for word in value}
    return [CompletionItem(word) for word in words if word.startswith(incomplete) and word not in given]
