"""``nectar doctor``."""

from __future__ import annotations

import click

from nectar.cli.arguments import json_option
from nectar.cli.session import Session
from nectar.errors import NectarError
from nectar.manage import doctor

_SIGNS = {"fine": "✅", "warning": "⚠️ ", "problem": "❌"}


@click.command()
@json_option
@click.pass_obj
def command(session: Session, *, as_json: bool) -> int | None:
    """Look at what could go wrong on this machine, and say what cures it. It ends with 1 when something is wrong now."""
    output = session.output
    found = []
    for finding in doctor.examine(session.home):
        found.append(finding)
        if not as_json:
            output.data(f"{_SIGNS[finding.level]} {finding.what}")
            if finding.cure:
                output.data(f"   {finding.cure}")
    if as_json:
        output.json({"findings": [{"level": each.level, "what": each.what, "cure": each.cure} for each in found]})
    return NectarError.exit_code if any(each.level == "problem" for each in found) else None
