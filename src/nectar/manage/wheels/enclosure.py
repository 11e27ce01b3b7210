"""Runs one step of a build behind the wall."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from nectar.manage.wall import bubblewrap
from nectar.manage.wall.grants import Grants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nectar.manage.uv.uv import Outcome, Uv


def run(
    uv: Uv,
    command: list[str],
    *,
    program: str,
    shown: Iterable[Path],
    written: Iterable[Path],
    directory: Path,
    variables: Mapping[str, str],
) -> Outcome:
    """Run a program behind a wall: no network, no home, and of the disk nothing but the system and what is named here.

    :param program: bubblewrap.
    :param shown: paths that it can read.
    :param written: directories that it can write to.
    :param directory: in which it runs.
    :param variables: all that it gets.
    """
    layout = bubblewrap.Layout(
        home=None,
        directory=str(directory),
        shown={str(path): str(path) for path in shown},
        grants=Grants(write=tuple(map(str, written))),
    )
    with ExitStack() as stack:
        before, held = bubblewrap.begin(bubblewrap.compose(program, layout), stack, variables)
        return uv.follow([*before, *command], "a build", {}, held=held, directory=os.sep, quiet=True)
