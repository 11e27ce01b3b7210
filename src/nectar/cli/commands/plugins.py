"""``nectar plugins``."""

from __future__ import annotations

import click

from nectar.cli.app import app
from nectar.cli.arguments import json_option
from nectar.cli.session import Session
from nectar.manage import plugins


@click.command()
@json_option
@click.pass_obj
def command(session: Session, *, as_json: bool) -> None:
    """Show the plugins that are installed beside nectar: what they add to this command, and what is wrong with them.

    They change this command alone: no handler has them. Where NECTAR_DISABLE_PLUGINS is set, none is loaded.
    """
    output = session.output
    found = app.plugins()
    if as_json:
        output.json({"disabled": plugins.are_disabled(), "plugins": [_fields(plugin) for plugin in found]})
        return
    if plugins.are_disabled():
        output.talk(f"None is loaded: {plugins.DISABLED} is set.")
    for plugin in found:
        output.data(f"{plugin.distribution} {plugin.version}: {plugin.name} ({plugin.value})")
        if not plugins.are_disabled():
            output.data(f"   Hooks: {', '.join(plugin.hooks) or '(none)'}")
        if plugin.verbs:
            output.data(f"   Verbs: {', '.join(plugin.verbs)}")
        for trouble in plugin.troubles:
            output.data(f"   ⚠️  {trouble.what[0].upper()}{trouble.what[1:]}")
            output.details(trouble.detail or "")
    if not found:
        output.talk("There are no plugins.")


def _fields(plugin: plugins.Plugin) -> dict[str, object]:
    return {
        "name": plugin.name,
        "value": plugin.value,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "hooks": plugin.hooks,
        "verbs": [*plugin.verbs],
        "errors": [{"message": trouble.what, "detail": trouble.detail} for trouble in plugin.troubles],
    }
