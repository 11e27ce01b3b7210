"""``nectar launch``."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from nectar.cli.arguments import (
    allow_option,
    build_env_option,
    complete,
    entry_option,
    env_file_option,
    env_option,
    extra_option,
    json_option,
    no_build_option,
    python_option,
    read_given,
    read_wall,
    sandbox_option,
    shared_option,
)
from nectar.cli.render import make_launched_fields, show_launched
from nectar.cli.session import Session
from nectar.cli.values import Number
from nectar.errors import UsageError
from nectar.home import NAME_PATTERN, check_alias, check_name, make_absolute
from nectar.manage import foreground, launch
from nectar.manage.daemon import hosts
from nectar.manage.daemon.assignment import Order
from nectar.manage.source.source import open_source


@click.command()
@click.argument("handler", required=False, shell_complete=complete("files"))
@click.argument("name", required=False)
@click.argument("more", nargs=-1, metavar="")
@click.option("--requirement", metavar="REQ", help="Something from the index instead of HANDLER, as 'my-handler==1.0'.")
@click.option(
    "--attach",
    "aliases",
    type=check_alias,
    multiple=True,
    metavar="ALIAS",
    shell_complete=complete("aliases"),
    help="Attach it to this node; may be repeated.",
)
@entry_option
@extra_option
@click.option("--workers", type=Number(1, 256), metavar="N", help="Processes that answer at the same time, 1 to 256.")
@click.option("--concurrency", type=Number(1, 1024), metavar="N", help="Computations at the same time in each of them, 1 to 1,024.")
@click.option(
    "--insecure", is_flag=True, help="Without TLS to an engine that is on another machine, in a network that is yours alone."
)
@sandbox_option
@allow_option
@env_option
@env_file_option
@python_option
@click.option("--python-downloads", "downloads", is_flag=True, help="Let uv fetch a Python that is not here.")
@build_env_option
@no_build_option
@click.option("--offline", is_flag=True, help="Do without a network.")
@click.option(
    "--replace", "replace_running", is_flag=True, help="Also one of that name that runs: it goes when this one is loaded."
)
@click.option("--foreground", is_flag=True, help="Show its log until Ctrl-C or SIGTERM, which stop it.")
@shared_option
@json_option
@click.pass_obj
def command(session: Session, /, **options: Any) -> None:
    """Run HANDLER as a daemon called NAME.

    HANDLER is a project's directory, a .py file, a wheel or an sdist; with extras as in '.[fast]'. It gets a virtual environment of its own; the command
    returns when a worker has loaded the handler. Without NAME it is called as the project or the file is. One of
    that name is replaced, and leaves its aliases; its settings and variables are those that are given here.
    """
    if options["foreground"] and options["as_json"]:
        raise click.UsageError("Give either --foreground or --json.")
    home = session.home_to_make
    handler: str | None = options["handler"]
    name: str | None = options["name"]
    _refuse_several(handler, name, options["more"])
    name = None if name is None else check_name(name)
    if options["requirement"] is not None and handler is not None and name is None:
        name, handler = check_name(handler), None
    order = _read_order(handler, options)
    name = name or order.source.name
    if options["shared"]:
        hosts.enter_anyway(home)
    seen = foreground.count_lines(home, name) if options["foreground"] else 0
    started = launch.launch(home, name, order, replace_running=options["replace_running"], report=session.output.talk)
    if options["as_json"]:
        session.output.json({"handler": make_launched_fields(home, started)})
    else:
        show_launched(session.output, started, "launched")
    if options["foreground"]:
        output = session.output
        with foreground.stop_after(home, name, report=output.talk):
            for line in foreground.follow(home, name, seen=seen, wanted=lambda: output.is_read):
                output.data(line)


def _read_order(handler: str | None, options: dict[str, Any]) -> Order:
    """What is to be launched, and how.

    :raises NectarError: it cannot be read.
    """
    source = open_source(
        handler,
        requirement=options["requirement"],
        chosen=options["extras"],
        python=options["python"],
        downloads=options["downloads"],
        offline=options["offline"],
        no_build=options["no_build"],
        build_env=options["build_env"],
    )
    return Order(
        source=source,
        entry=options["entry"],
        settings={
            **{name: options[name] for name in ("workers", "concurrency") if options[name] is not None},
            **({"dask": {"insecure": True}} if options["insecure"] else {}),
        },
        given=read_given(options["pairs"], options["files"]),
        wall=read_wall(source, options["sandbox"], options["allow"]),
        aliases=options["aliases"],
    )


def _refuse_several(handler: str | None, name: str | None, more: tuple[str, ...]) -> None:
    """:raises UsageError: where the name should be is another handler, or these two are swapped, or there is more."""
    words = [word for word in (handler, name, *more) if word is not None]
    if name is not None and handler is not None and _is_handler(name) and make_absolute(name) != make_absolute(handler):
        if not more and not os.path.exists(handler) and not _is_handler(handler) and NAME_PATTERN.fullmatch(handler):
            raise UsageError(
                f"{name!r} is what to run, and {handler!r} a name: the handler comes first.", hint=f"nectar launch {name} {handler}"
            )
        several = "; ".join(f"nectar launch {shlex.quote(word)}" for word in words[:3]) + ("; …" if len(words) > 3 else "")
        raise UsageError(f"launch runs one handler, and {name!r} is another one.", hint=several)
    if more:
        raise UsageError("launch runs one handler, and takes HANDLER and NAME.", hint="Nodes to attach: --attach ALIAS for each.")


def _is_handler(word: str) -> bool:
    """Whether what stands in a name's place can only be meant as something to run."""
    return word.endswith((".py", ".whl", ".tar.gz")) or os.path.exists(os.path.join(word, "pyproject.toml"))
