"""``nectar worker``."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nectar.cli.arguments import (
    answer_as_json,
    build_env_option,
    complete,
    entry_option,
    env_file_option,
    env_option,
    extra_option,
    python_option,
    read_given,
)
from nectar.cli.session import Session
from nectar.cli.values import Number
from nectar.errors import ConflictError, UsageError
from nectar.home import check_name, make_absolute
from nectar.manage import worker
from nectar.manage.daemon.assignment import Order
from nectar.manage.daemon.engine import ADDRESS
from nectar.manage.engine import command as commands
from nectar.manage.engine import schedulers
from nectar.manage.engine.schedulers import Certificates
from nectar.manage.handlers import granted
from nectar.manage.source.source import open_source

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.manage.engine.command import Command
    from nectar.manage.engine.schedulers import Address
    from nectar.manage.source.source import Source

TLS = ("tls_ca", "tls_cert", "tls_key")
"""The files of a project's, in the order of the option."""


@click.command()
@click.argument("handler", shell_complete=complete("files"))
@click.argument("name", required=False)
@click.option(
    "--connect", metavar="ADDRESS", help="That of Dask's scheduler, as tcp://scheduler.example:8786. [default: the project's]"
)
@click.option("--host", metavar="H", help="This machine's address for the others. [default: the one on the way to the scheduler]")
@click.option(
    "--workers",
    "count",
    type=Number(1, 256),
    default=1,
    metavar="N",
    help="Processes, 1 to 256, each with one computation at a time.",
)
@click.option(
    "--tls",
    nargs=3,
    type=Path,
    metavar="CA CERT KEY",
    help="Files in PEM format: the authority's certificate, and this side's with its key. [default: the project's]",
)
@click.option("--insecure", is_flag=True, help="Without TLS also beyond this machine, where all on the way can read and answer.")
@click.option("--no-sandbox", "open_", is_flag=True, help="Though NECTAR_SANDBOX is 1: an engine's worker has no wall.")
@click.option("--print", "shown", is_flag=True, help="Only print the line that a container, Slurm or Kubernetes runs.")
@entry_option
@extra_option
@env_option
@env_file_option
@python_option
@build_env_option
@click.option(
    "--json", "as_json", is_flag=True, callback=answer_as_json, help="With --print: one JSON object; without, only of an error."
)
@click.pass_obj
def command(session: Session, /, *, handler: str, name: str | None, **options: Any) -> None:
    """Answer on this machine a part of what HANDLER is asked, as a worker of Dask's, until Ctrl-C.

    NAME is the handler's where it is launched: the project's, or the file's, where it is left out. Its environment is built here from the same source and
    lock, and the worker begins when the handler's daemon has told the scheduler that it has the same one. It is started again when it
    has lost its scheduler. All its ports are opened on the one address H.
    """
    output, home = session.output, session.home_to_make
    if not options["open_"] and granted.is_wanted(None, os.environ):
        raise ConflictError(f"An engine's worker has no wall, and {granted.VARIABLE} is 1.", hint="Without one: --no-sandbox")
    source = open_source(handler, chosen=options["extras"], python=options["python"], build_env=options["build_env"])
    address, certificates = _find_scheduler(source, options)
    host = _choose_host(address, options)
    if not (options["insecure"] or source.settings.dask.get("insecure")):
        schedulers.require_privacy(address, host)
    if not options["shown"]:
        with suppress(schedulers.NobodyError):  # somebody may when the environment is built
            schedulers.require_scheduler(address, certificates)
    order = Order(source, options["entry"], {"executor": "none"}, read_given(options["pairs"], options["files"]))
    name = source.name if name is None else check_name(name)
    with worker.ready(home, name, order, report=output.talk, warn=output.warn) as prepared:
        started = commands.compose(prepared, address, host, options["count"], certificates)
        if not options["shown"]:
            output.data(f"✅ Handler loaded: {source.shown} (environment {prepared.environment.marker.portable})")
            _serve(output, started, address, certificates)
        elif options["as_json"]:
            output.json({"command": started.words, "directory": started.directory, "variables": dict(started.own)})
        else:
            output.data(started.show())


def _find_scheduler(source: Source, options: dict[str, Any]) -> tuple[Address, Certificates | None]:
    """:raises UsageError: nobody says where it is, or it is no address."""
    dask = source.settings.dask
    text = options["connect"] or os.environ.get(ADDRESS) or dask.get("address")
    if text is None:
        raise UsageError(
            "Nobody says where the scheduler is.", hint=f"--connect, or address under [tool.nectar.dask], or {ADDRESS}."
        )
    files = options["tls"] or [source.directory / Path(dask[key]).expanduser() for key in TLS if key in dask]
    certificates = Certificates(*map(make_absolute, files)) if len(files) == len(TLS) else None
    return schedulers.parse(text, secret=certificates is not None), certificates


def _choose_host(address: Address, options: dict[str, Any]) -> str:
    """:raises click.UsageError: it is another machine's to say.
    :raises NectarError: this machine has no such address, or no way to the scheduler.
    """
    host: str | None = options["host"]
    if options["shown"]:
        if host is None:
            raise click.UsageError(
                "--print needs --host: an address, or a variable of the shell that runs the line, as in '$POD_IP'."
            )
        return host
    if host is None:
        return schedulers.choose_host(address)
    schedulers.require_own(host)
    return host


def _serve(output: Output, started: Command, address: Address, certificates: Certificates | None) -> None:
    with closing(worker.serve(started, address, certificates)) as events:
        for event in events:
            if event.kind == "serves":
                output.data(f"✅ Serving {event.text}")
            elif event.kind == "log":
                output.details(event.text)
            elif event.kind == "waits":
                output.talk(f"{event.text[0].upper()}{event.text[1:]}")
            else:
                output.talk(event.text, style=None)
