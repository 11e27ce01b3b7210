"""``nectar new``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from nectar.cli.arguments import json_option
from nectar.cli.session import Session
from nectar.errors import UsageError
from nectar.manage import dev, new
from nectar.settings import OLDEST


@click.command()
@click.argument("written", metavar="PATH")
@click.option("--script", is_flag=True, help="A single file with its dependencies in it, instead of a project.")
@click.option("--hooks", is_flag=True, help="The project's handler is an object with hooks, which loads something once.")
@click.option("--no-workspace", is_flag=True, help="Do not put the project into the workspace above it.")
@click.option("--name", metavar="NAME", help="The project's name. [default: the last part of PATH]")
@click.option("--python", metavar="V", help=f"The oldest Python that it runs on. [default: {OLDEST}]")
@click.option("--description", metavar="TEXT", help="What it does, in one line.")
@click.option("--no-dev", is_flag=True, help="Do not make the project's .venv now.")
@json_option
@click.pass_obj
def command(
    session: Session,
    *,
    written: str,
    script: bool,
    hooks: bool,
    no_workspace: bool,
    name: str | None,
    python: str | None,
    description: str | None,
    no_dev: bool,
    as_json: bool,
) -> None:
    """Make a handler at PATH that can be tested and launched as it is: a project with a test, or a single file."""
    output = session.output
    say = output.talk if as_json else output.data
    environment = None
    wanted = new.Wanted(name=name, python=python, description=description, hooks=hooks, joins=not no_workspace)
    if not written:
        raise UsageError("PATH is empty.", hint="nectar new . makes one in the current directory.")
    path = Path(written)
    if script and hooks:
        raise UsageError("--script makes a single file, and --hooks a project: give one of them.")
    if script:
        made = new.new_script(path, wanted)
        say(f"✅ Handler created: {made}")
        path = path.parent / made.name
    else:
        home = None if no_dev else session.home_to_make
        made = new.new_project(path, wanted, report=output.talk)
        say(f"✅ Handler project created: {made}")
        if home is not None:
            environment = dev.prepare(home, made, report=output.talk, relock=True)
            say(f"✅ Ready for development: {environment}")
    output.talk(f"Next: nectar test {_shown(path)}")
    if as_json:
        output.json({"path": str(made.absolute()), "environment": None if environment is None else str(environment)})


def _shown(path: Path) -> str:
    return shlex.quote(str(path) if path.is_absolute() or path == Path() else f"./{path}")
