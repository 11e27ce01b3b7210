"""What the processes of a handler get of the environment: little, so that nothing of the launching shell decides what they do.

A daemon gets nothing of its handler's: what an author sets may have the loader, the C library or Python itself run the author's code.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from nectar import processes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nectar.settings import Settings

_BASIC = r"PATH|HOME|LANG|LC_[A-Z_]+|TZ|TMPDIR|LD_LIBRARY_PATH|DYLD_(FALLBACK_)?(LIBRARY|FRAMEWORK)_PATH"
"""The paths of libraries belong to it because an interpreter may not start without: a shared one of a module system, or conda's."""
_OF_DAEMONS = re.compile(_BASIC)
_ALLOWED = re.compile(
    rf"{_BASIC}"
    r"|(http|https|ftp|all|no)_proxy|(HTTP|HTTPS|FTP|ALL|NO)_PROXY"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS",
)


def choose_for_daemon(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a handler's daemon, its mark aside.

    :param environ: the launching shell's.
    """
    return {name: value for name, value in environ.items() if _OF_DAEMONS.fullmatch(name)}


def allowed(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that every handler gets."""
    return {name: value for name, value in environ.items() if _ALLOWED.fullmatch(name)}


def compose(environ: Mapping[str, str], settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a handler's process. What marks processes as ours is none that can be set.

    :param environ: the launching shell's.
    :param settings: for ``env`` and ``pass_env``.
    :param given: by ``--env`` and ``--env-file``; they win.
    """
    passed = {name: environ[name] for name in settings.pass_env if name in environ}
    wanted = {**allowed(environ), **passed, **settings.env, **given}
    return {name: value for name, value in wanted.items() if name not in (processes.VARIABLE, processes.DAEMON)}


def of_terminal(environ: Mapping[str, str]) -> dict[str, str]:
    """What a process needs to know of a terminal.

    :param environ: of a shell on it.
    """
    return {name: environ[name] for name in ("TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES") if name in environ}


def activate(venv: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The same, with the commands of an environment found first."""
    path = variables.get("PATH", os.defpath)
    return {**variables, "PATH": f"{venv / 'bin'}{os.pathsep}{path}"}
