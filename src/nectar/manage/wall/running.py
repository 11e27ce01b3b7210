"""Running a program of which nothing but its end and its words is wanted, behind a wall or not."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from nectar.manage.wall import bubblewrap

if TYPE_CHECKING:
    from collections.abc import Mapping


def run(command: list[str], seconds: float, *, wall: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """Run a program, for so many seconds at most.

    :param wall: what it runs behind, from :func:`nectar.manage.wall.bubblewrap.compose`; then it gets no variables.
    :returns: its exit code, and what it said.
    """
    with ExitStack() as stack:
        before, held = bubblewrap.begin(wall, stack) if wall else ([], [])
        try:
            ran = subprocess.run(
                [*before, *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                pass_fds=held,
                cwd="/",
                env={} if wall else None,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 1, f"it does not end within {seconds:g} s"
        except OSError as error:
            return 1, error.strerror or str(error)
    return ran.returncode, (ran.stdout + ran.stderr).decode(errors="replace").strip()
