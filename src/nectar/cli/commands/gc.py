"""``nectar gc``."""

from __future__ import annotations

import click

from nectar.cli.arguments import json_option
from nectar.cli.render import format_size
from nectar.cli.session import Session
from nectar.manage import gc
from nectar.manage.waits import wait


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@click.pass_obj
def command(session: Session, *, dry_run: bool, as_json: bool) -> None:
    """Remove environments, runtimes and old resolutions that no handler uses, and what killed builds have left."""
    with wait("Looking for what nothing uses"):
        found = gc.find_unused(session.home) if dry_run else gc.collect(session.home)
    if as_json:
        listed = [{"kind": each.kind, "path": str(each.path), "size": each.size} for each in found]
        session.output.json({"dry_run": dry_run, "unused": listed})
        return
    for each in found:
        session.output.data(f"{each.kind:<12} {each.path.name}  {format_size(each.size)}")
    verb = "would be removed" if dry_run else "removed"
    session.output.data(f"{len(found)} {verb}, {format_size(sum(each.size for each in found))}")
