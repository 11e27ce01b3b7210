"""Logins: the user and password in an address. They are kept apart from it, and what nectar shows or writes has ``***`` in place.

uv gets the login of a requirement as a file of its own in the build's directory, and git as another: neither stands on a command
line, in a variable, in a lock, or in what is installed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from nectar.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN = "***"
_PORT = r"\d*(?:[/?#`'\",;)\s]|$)"
_LOGIN = rf"(?<=://)(?:[^/\s]*@|[^/\s:@\[]+:(?!{_PORT})(?:[^\s`]*@|[^\s`]*))"
"""Also of an address that cannot be parsed, which is just the one that a program repeats in its error."""
_ADDRESS = r"(?s:(?P<name>[^@]*@\s*)(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*))"
_REST = (
    r"(?s://(?:(?P<login>[^/?#\s\\]*)@)?(?P<host>(?:[\w.~-]+|\[[0-9A-Fa-f:.]+\])(?::\d*)?)(?P<after>(?:[/?#]\S*)?(?:\s*|\s+;.*)))"
)
_IN_QUERY = (
    r"(?i:[?&#](?P<name>[^=&#\s]*(?:token|secret|passw|signature|credential|api_?key|access_?key)[^=&#\s]*|sig|key|pw|pwd|auth)=)"
)
_VARIABLE = r"\$\{([A-Z0-9_]+)\}"


def redact(text: str) -> str:
    """A text for anybody: with ``***`` for the login of each address in it."""
    return re.sub(_LOGIN, f"{HIDDEN}@", text) if "://" in text else text


def part(requirement: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """A requirement with ``***`` for its login, and that, as it is written in the address; None where it has none.

    :param environ: has the variables that ``${NAME}`` in the address stands for, as uv understands it.
    :raises UsageError: the address cannot be read, or has a secret elsewhere.
    """
    found = re.fullmatch(_ADDRESS, requirement)
    if found is None or found["scheme"].lower() == "file":
        return requirement, None
    rest = re.fullmatch(_REST, re.sub(_VARIABLE, lambda each: environ.get(each[1], each[0]), found["rest"]))
    if rest is None:
        raise UsageError(
            "The address in the requirement cannot be read.",
            where=found["name"].strip(" @"),
            hint="In a user or password, what is neither letter nor digit is written as %40 for @, %2F for /, %20 for a space.",
        )
    secret = re.search(_IN_QUERY, rest["after"])
    if secret:
        raise UsageError(
            f"The address in the requirement has a secret in its query ({secret['name']}), which cannot be kept apart from it.",
            where=found["name"].strip(" @"),
            hint="Give it as user and password (https://USER:PASSWORD@…), or fetch the file and launch that.",
        )
    login = rest["login"] or None
    if login and found["scheme"].lower().endswith("ssh"):
        if ":" in login:
            raise UsageError(
                "ssh takes no password from an address.", where=found["name"].strip(" @"), hint="Have an agent hold a key."
            )
        host, login = f"{login}@{rest['host']}", None  # whose account it is, is no secret
    else:
        host = f"{HIDDEN}@{rest['host']}" if login else rest["host"]
    return f"{found['name']}{found['scheme']}://{host}{rest['after']}", None if login == HIDDEN else login


def remove(requirement: str) -> str:
    """What :func:`part` returned, with no login at all."""
    return requirement.replace(f"://{HIDDEN}@", "://", 1)


def has_one(requirement: str) -> bool:
    """Whether :func:`part` took a login from a requirement."""
    return f"://{HIDDEN}@" in requirement


def hand_to_uv(requirement: str, login: str, directory: Path, others: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Write a login where uv, and the git that it runs, find it; the variables that say where that is.

    :param login: from :func:`part`.
    :param directory: the build's own.
    :param others: where uv keeps the logins that a person gave it, which go on to count.
    :param environ: the variables that uv would get.
    """
    import tomli_w  # which who only redacts does without

    found = re.fullmatch(_ADDRESS, remove(requirement))
    rest = found and re.fullmatch(_REST, found["rest"])
    assert found and rest, "it was parsed before"
    over_git, _, scheme = found["scheme"].lower().rpartition("+")
    place = f"{scheme}://{rest['host']}"
    user, _, password = login.partition(":")
    if over_git:
        return _to_git(place, user, password, directory / "git-credentials", environ)
    store = directory / "credentials"
    store.mkdir(mode=0o700)
    ours = {"service": place, "username": unquote(user), "scheme": "basic", "password": unquote(password)}
    theirs = [each for each in _stored(others) if str(each.get("service", "")).rstrip("/") != place]
    _private(store / "credentials.toml", tomli_w.dumps({"credential": [ours, *theirs]}))
    return {"UV_CREDENTIALS_DIR": str(store)}


def _to_git(place: str, user: str, password: str, file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The same for git: a helper for this host alone, and none of the person's own for it."""
    import shlex

    _private(file, place.replace("://", f"://{_quoted(user)}:{_quoted(password)}@") + "\n")
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdigit() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + 2)}
    for number, value in enumerate(("", f"store --file={shlex.quote(str(file))}"), first):
        variables |= {f"GIT_CONFIG_KEY_{number}": f"credential.{place}.helper", f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _quoted(text: str) -> str:
    return quote(unquote(text), safe="")


def _stored(directory: Path) -> list[dict[str, object]]:
    import tomllib

    try:
        found = tomllib.loads((directory / "credentials.toml").read_text(encoding="utf-8")).get("credential")
    except (OSError, ValueError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _private(file: Path, text: str) -> None:
    with open(file, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(text)
