"""``nectar dev``."""

from __future__ import annotations

from pathlib import Path

import click

from nectar.cli.arguments import build_env_option, extra_option
from nectar.cli.session import Session
from nectar.manage import dev


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=".")
@extra_option
@build_env_option
@click.pass_obj
def command(session: Session, *, path: Path, extras: tuple[str, ...], build_env: tuple[str, ...]) -> None:
    """Make the .venv of the project at PATH, with its dev group, and put nectar's API on its path.

    Then an editor, a type checker and `uv run pytest` know nectar. The project's pyproject.toml and lock stay as they are; one
    without a lock gets one.
    """
    environment = dev.prepare(session.home_to_make, path, chosen=extras, report=session.output.talk, build_env=build_env)
    session.output.data(f"✅ Ready for development: {environment}")
