"""What a person gave a handler: variables, with ``--env`` and ``--env-file``, or by way of ``pass_env`` from the launching shell;
and the login in a requirement's address.

They may be secrets. So they lie in a file of their own, mode 0600, and never in the registry.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nectar import ownership
from nectar.errors import EnvironmentFailedError, NotFoundError, UsageError
from nectar.frozen import dataclass, field, replace
from nectar.manage.files import authored
from nectar.settings import is_variable_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nectar.home import Home

_LINE = r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What was given at launch; kept for each later start.

    :ivar env: names and values.
    :ivar files: paths of files with more of them, absolute; read again at each start.
    :ivar passed: what ``pass_env`` let through from the launching shell.
    :ivar login: what the handler is fetched with; its processes do not get it.
    """

    env: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    passed: dict[str, str] = field(default_factory=dict)
    login: str | None = field(default=None, repr=False)

    def passing(self, names: list[str], environ: Mapping[str, str]) -> Given:
        """The same, with these variables of a shell, where it has them; what was let through before stays."""
        found = {name: environ[name] for name in names if name in environ}
        return replace(self, passed={name: value for name, value in {**self.passed, **found}.items() if name in names})

    def variables(self) -> dict[str, str]:
        """All of them together; a later file wins over an earlier one, and ``env`` over all.

        :raises NotFoundError: a file is not there.
        :raises UsageError: a line of it cannot be read.
        """
        together = dict(self.passed)
        for file in self.files:
            together |= read_file(Path(file))
        return together | self.env


def parse(pair: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """A name and a value from ``K=V``, or, from ``K``, the value that a shell has.

    :param environ: the shell's.
    :raises UsageError: it is not of that form, or the shell has no such variable.
    """
    name, equals, value = pair.partition("=")
    if not is_variable_name(name):
        raise UsageError("--env takes K=V.", where=repr(name))
    if not equals and name not in environ:
        raise UsageError(
            f"--env {name} takes the value that this shell has, and it has no {name}.", hint=f"Give it one: --env {name}=…"
        )
    return name, value if equals else environ[name]


def read_file(path: Path) -> dict[str, str]:
    """Names and values from lines ``K=V``; blank lines, comments, ``export`` and quotes around a value are understood."""
    try:
        lines = authored.read_text(path, authored.SETTINGS).splitlines()
    except OSError as error:
        raise NotFoundError(f"The file with variables cannot be read: {error.strerror}.", where=str(path)) from None
    except EnvironmentFailedError as error:
        raise UsageError(error.message, where=error.where) from None
    found = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(_LINE, line)
        if match is None:
            raise UsageError("This line is not of the form K=V.", where=f"{path}, line {number}")
        name, value = match[1], match[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if "\0" in value:
            raise UsageError("This value has a NUL character in it, which no variable can have.", where=f"{path}, line {number}")
        found[name] = value
    return found


def read(home: Home, name: str) -> Given:
    """What was given to a handler when it was launched."""
    try:
        fields = json.loads(ownership.read(home.variables(name)))
        login = fields.get("login")
        return Given(
            env=dict(fields["env"]),
            files=tuple(fields["files"]),
            passed=dict(fields["passed"]),
            login=login if isinstance(login, str) else None,
        )
    except FileNotFoundError:
        return Given()
    except (ValueError, KeyError, TypeError, AttributeError):
        path = home.variables(name)
        raise UsageError(
            "The handler's variables cannot be read.", where=str(path), hint="Launch it again, with its --env."
        ) from None
