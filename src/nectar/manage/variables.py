"""What a handler's process gets of the environment: little, so that nothing of the launching shell decides what it does."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nectar.settings import Settings

_ALLOWED = re.compile(
    r"PATH|HOME|LANG|LC_[A-Z_]+|TZ|TMPDIR"
    r"|(http|https|ftp|all|no)_proxy|(HTTP|HTTPS|FTP|ALL|NO)_PROXY"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS",
)
_MISSING = re.compile(
    r"""(?:KeyError: ['"]|(?:environment|env)\w* variable[s]?:? +[`'"]?)([A-Za-z_][A-Za-z0-9_]*)""", re.IGNORECASE
)


def allowed(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that every handler gets."""
    return {name: value for name, value in environ.items() if _ALLOWED.fullmatch(name)}


def compose(environ: Mapping[str, str], settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of a handler's process.

    :param environ: the launching shell's.
    :param settings: for ``env`` and ``pass_env``.
    :param given: by ``--env`` and ``--env-file``; they win.
    """
    passed = {name: environ[name] for name in settings.pass_env if name in environ}
    return {**allowed(environ), **passed, **settings.env, **given}


def activated(venv: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The same, with the commands of an environment found first."""
    path = variables.get("PATH", os.defpath)
    return {**variables, "PATH": f"{venv / 'bin'}{os.pathsep}{path}"}


def missing_hint(traceback: str, environ: Mapping[str, str], variables: Mapping[str, str]) -> str | None:
    """A hint where a handler failed for want of a variable that the launching shell has.

    :param traceback: what the handler failed with.
    :param variables: those of its process.
    """
    last = traceback.strip().splitlines()[-3:]
    for found in _MISSING.finditer("\n".join(last)):
        name = found[1]
        if name in environ and name not in variables:
            return f"The launching shell has {name}; a handler gets it with --env {name}=…, or pass_env = [{name!r}] in [tool.nectar].".replace(
                "'", '"'
            )
    return None
