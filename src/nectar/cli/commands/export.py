"""``nectar export``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.manage import hive


@click.command()
@click.pass_obj
def command(session: Session) -> None:
    """Write what should run as a hive.toml, from which `nectar up -f hive.toml` brings it up: here, where it changes nothing, or elsewhere.

    Variables that --env gave are named in it, and not told, because they may be secret.
    """
    session.output.data(hive.export(session.home).rstrip("\n"))
