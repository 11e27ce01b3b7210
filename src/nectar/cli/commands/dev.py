"""``nectar dev``."""

from __future__ import annotations

from pathlib import Path

import click

from nectar.cli.arguments import build_env_option, extra_option
from nectar.cli.session import Session
from nectar.manage import dev, dev_file
from nectar.manage.source.source import open_source


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@extra_option
@build_env_option
@click.pass_obj
def command(session: Session, *, path: Path, extras: tuple[str, ...], build_env: tuple[str, ...]) -> None:
    """Make the .venv of the project at PATH, with its dev group, and put nectar's API on its path; a .py file's is beside it.

    Then an editor, a type checker and `uv run pytest` know nectar. The project's pyproject.toml and lock stay as they are; one
    without a lock gets one.
    """
    home, report = session.home_to_make, session.output.talk
    if path.suffix == ".py" and path.is_file():
        environment = dev_file.prepare(home, open_source(path, chosen=extras, build_env=build_env), report=report)
    else:
        environment = dev.prepare(home, path, chosen=extras, report=report, build_env=build_env)
    session.output.data(f"✅ Ready for development: {environment}")
