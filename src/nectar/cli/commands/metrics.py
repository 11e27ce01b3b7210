"""``nectar metrics``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.manage import additions


@click.command()
@click.option("--listen", metavar="ADDRESS", help="Serve it at a port of this machine, as in 127.0.0.1:9464, until Ctrl-C.")
@click.pass_obj
def command(session: Session, *, listen: str | None) -> None:
    """Print counters and gauges of all handlers as OpenMetrics text, for a textfile collector; or serve them."""
    home, output = session.home, session.output
    additions.require("metrics")
    from nectar.manage import metrics

    if listen is None:
        output.data(metrics.render(home).rstrip("\n"))
        return
    from nectar.web.loopback import Place, parse_address

    place = Place(*parse_address(listen))
    output.data(f"{place.address}/metrics")
    place.serve(metrics.make_application(home))
