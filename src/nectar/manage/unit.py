"""What runs ``up --keep`` from the boot on: a unit of the user's own systemd; for macOS an agent of launchd, which is only written out."""

from __future__ import annotations

import getpass
import hashlib
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar.api.command import find_command
from nectar.errors import NectarError, NotFoundError
from nectar.home import NECTAR, Home
from nectar.locks import is_free
from nectar.manage.files.writing import write_whole
from nectar.manage.handlers import registry, turns
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

SPARE = 30.0
"""Seconds for all to end, beyond the longest that computations get to finish: ``up --keep`` takes 5 at most."""
PATIENCE = 60.0
_LINGER = Path("/var/lib/systemd/linger")
"""Has a file for each user whose systemd is there without a login."""
_UNIT = """\
[Unit]
Description=Nectar's handlers in {data_dir}
StartLimitIntervalSec=0

[Service]
Type=exec
Environment={path}
ExecStart={command}
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec={seconds}

[Install]
WantedBy=default.target
"""


class Enabled(NamedTuple):
    """:ivar unit: its name.
    :ivar path: where it lies.
    :ivar changed: whether it runs, and did so before as another one.
    :ivar other: who keeps the handlers already, as it stands in a sentence; None where that is nobody, or this unit.
    :ivar linger: what to type so that it runs without a login, and so from the boot on; None where it does.
    """

    unit: str
    path: Path
    changed: bool
    other: str | None
    linger: str | None


def name_unit(home: Home) -> str:
    """A name of its own for each data dir."""
    if home == Home.at(None):
        return f"{NECTAR}.service"
    return f"{NECTAR}-{hashlib.sha256(os.fsencode(home.data_dir)).hexdigest()[:8]}.service"


def compose(home: Home) -> str:
    """The unit."""
    command = " ".join(_quote(word.replace("$", "$$")) for word in _make_command(home))
    path = _quote(f"PATH={os.environ.get('PATH', os.defpath)}")
    data_dir = _quote(str(home.data_dir))[1:-1]
    return _UNIT.format(data_dir=data_dir, path=path, command=command, seconds=_count_seconds(home))


def compose_agent(home: Home) -> str:
    """The same for launchd, as a property list."""
    import plistlib

    agent = {
        "Label": name_unit(home).removesuffix(".service"),
        "ProgramArguments": _make_command(home),
        "EnvironmentVariables": {"PATH": os.environ.get("PATH", os.defpath)},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": _count_seconds(home),
        "StandardErrorPath": str(home.nectar / "keeper.log"),
    }
    return plistlib.dumps(agent, sort_keys=False).decode()


def enable(home: Home) -> Enabled:
    """Write the unit, have systemd start it with each boot, or login, and start it now.

    :raises NectarError: there is no systemd of this user's, or it does not take it; nothing was changed then.
    """
    _require_systemd()
    home.create()
    unit = name_unit(home)
    path = _find_place() / unit
    text = compose(home).encode()
    before = path.read_bytes() if path.exists() else None
    running = before is not None and _ask("is-active", "--quiet", unit).returncode == 0
    other = None if running or is_free(home.keeper) else f"Another nectar up --keep{turns.name_holder(home.keeper)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)
    try:
        _require("daemon-reload")
        _require("enable", "--now", unit)
    except NectarError:
        if before is None:
            path.unlink()
        else:
            write_whole(path, before)
        _ask("daemon-reload")
        raise
    return Enabled(unit, path, running and before != text, other, _find_linger())


def disable(home: Home) -> tuple[str, bool]:
    """Have systemd start it no more; what runs goes on.

    :returns: the unit's name, and whether it runs.
    :raises NotFoundError: it was not enabled.
    :raises NectarError: systemd does not do it.
    """
    _require_systemd()
    unit = name_unit(home)
    if not (_find_place() / unit).exists():
        raise NotFoundError(f"{unit} is not enabled.", where=str(_find_place()), hint="nectar enable")
    _require("disable", unit)
    return unit, _ask("is-active", "--quiet", unit).returncode == 0


def is_launchd() -> bool:
    """Whether this is a machine of launchd's."""
    return shutil.which("launchctl") is not None and shutil.which("systemctl") is None


def _make_command(home: Home) -> list[str]:
    return [*find_command(), "--data-dir", str(home.data_dir), "up", "--keep"]


def _count_seconds(home: Home) -> int:
    longest = max([Settings().stop_timeout, *(record.stop_timeout for record in registry.read(home).values())])
    return math.ceil(longest + SPARE)


def _quote(word: str) -> str:
    r"""A word for a unit: quoted, so that nothing in it means anything; what is not printable as ``\x..``."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return (
        '"' + "".join(char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in char.encode()) for char in escaped) + '"'
    )


def _find_place() -> Path:
    """Where a user's own units lie."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _find_linger() -> str | None:
    user = getpass.getuser()
    return None if (_LINGER / user).exists() else f"loginctl enable-linger {user} (where that is refused, with sudo)"


def _require_systemd() -> None:
    hint = "nectar enable --print shows what one could be given."
    if shutil.which("systemctl") is None:
        raise NectarError("There is no systemd here.", where="systemctl is not on PATH", hint=hint)
    asked = _ask("show-environment")
    if asked.returncode != 0:
        raise NectarError(
            "There is no systemd of this user's, or it does not answer.",
            where=(asked.stderr.strip() or "systemctl --user"),
            hint=hint,
        )


def _require(*arguments: str) -> None:
    ended = _ask(*arguments)
    if ended.returncode != 0:
        raise NectarError(f"systemctl --user {' '.join(arguments)} failed.", detail=ended.stderr)


def _ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = ["systemctl", "--user", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it did not answer within {PATIENCE:g} s")
