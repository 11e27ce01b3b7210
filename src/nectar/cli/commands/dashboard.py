"""``nectar dashboard``."""

from __future__ import annotations

import click

from nectar.cli.session import Session
from nectar.cli.values import Number
from nectar.manage import additions


@click.command()
@click.option(
    "--port",
    type=Number(0, 65535),
    default=0,
    metavar="N",
    help="Where to listen, 0 to 65,535. [default: 0, which takes one that is free]",
)
@click.option("--no-open", is_flag=True, help="Print the address, and open no browser.")
@click.pass_obj
def command(session: Session, *, port: int, no_open: bool) -> None:
    """Show in a browser how all handlers do, what they answered in the last hours, and their logs, until Ctrl-C.

    The page is for you alone: its address can be opened once, and within a minute. Nothing can be changed there.
    """
    home, output = session.home, session.output
    additions.require("dashboard")
    from nectar.web import browser
    from nectar.web.dashboard import Dashboard
    from nectar.web.keys import Keys
    from nectar.web.loopback import Place

    place, keys = Place("127.0.0.1", port), Keys()
    address = f"{place.address}/?token={keys.token}"
    used = None if no_open else browser.find()

    def tell() -> None:
        output.talk("To be opened within a minute, in one browser; Ctrl-C ends it.")
        output.data(address)

    if used is None:
        tell()
        place.serve(Dashboard(home, keys, lambda: None))
    with browser.lead(address) as path:
        output.talk(f"The dashboard is at {place.address}, and opens in your browser; Ctrl-C ends it.")
        browser.show(used, path, tell)
        place.serve(Dashboard(home, keys, lambda: path.unlink(missing_ok=True)))
