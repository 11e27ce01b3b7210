"""``nectar launch``."""

from __future__ import annotations

from typing import Any

import click

from nectar.cli.arguments import (
    build_env_option,
    entry_option,
    env_file_option,
    env_option,
    extra_option,
    python_option,
    read_given,
)
from nectar.cli.render import show_launched
from nectar.cli.session import Session
from nectar.home import check_alias, check_name
from nectar.manage import launch
from nectar.manage.daemon.assignment import Order
from nectar.manage.source.source import open_source


@click.command()
@click.argument("handler", required=False)
@click.argument("name", type=check_name, required=False)
@click.option("--requirement", metavar="REQ", help="Something from the index instead of HANDLER, as 'my-handler==1.0'.")
@click.option(
    "--attach", "aliases", type=check_alias, multiple=True, metavar="ALIAS", help="Attach it to this node; may be repeated."
)
@entry_option
@extra_option
@click.option("--workers", type=click.IntRange(1, 256), metavar="N", help="Processes that answer at the same time.")
@click.option("--concurrency", type=click.IntRange(1, 1024), metavar="N", help="Computations at the same time in each of them.")
@env_option
@env_file_option
@python_option
@click.option("--python-downloads", "downloads", is_flag=True, help="Let uv fetch a Python that is not here.")
@build_env_option
@click.option("--offline", is_flag=True, help="Do without a network.")
@click.option(
    "--replace", "replace_running", is_flag=True, help="Also one of that name that runs: it goes when this one is loaded."
)
@click.pass_obj
def command(session: Session, /, **options: Any) -> None:
    """Run HANDLER as a daemon called NAME.

    HANDLER is a project's directory, a .py file, a wheel or an sdist; with extras as in '.[fast]'. It gets a virtual environment of its own; the command
    returns when a worker has loaded the handler. Without NAME it is called as the project or the file is. One of
    that name is replaced, and leaves its aliases; its settings and variables are those that are given here.
    """
    home = session.home_to_make
    handler: str | None = options["handler"]
    name: str | None = options["name"]
    if options["requirement"] is not None and handler is not None and name is None:
        name, handler = check_name(handler), None
    source = open_source(
        handler,
        requirement=options["requirement"],
        chosen=options["extras"],
        python=options["python"],
        downloads=options["downloads"],
        offline=options["offline"],
        build_env=options["build_env"],
    )
    order = Order(
        source=source,
        entry=options["entry"],
        settings={name: options[name] for name in ("workers", "concurrency") if options[name] is not None},
        given=read_given(options["pairs"], options["files"]),
        aliases=options["aliases"],
    )
    started = launch.launch(
        home, name or source.name, order, replace_running=options["replace_running"], report=session.output.talk
    )
    show_launched(session.output, started, "launched")
