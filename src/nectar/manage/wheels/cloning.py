"""Having what comes from git as uv would have it: one commit, with the history and tags that its version may come from."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

from nectar.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from nectar.manage.uv.uv import Uv

_SCHEMES = ("https", "http", "file")
_COMMIT = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_NO_HOOKS = f"core.hooksPath={os.devnull}"
_QUIETLY = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}


class Clone(NamedTuple):
    """:ivar name: of what lies in it.
    :ivar directory: the working copy.
    :ivar project: where the project lies in it.
    """

    name: str
    directory: Path
    project: str


def clone(uv: Uv, name: str, source: str, into: Path) -> Clone:
    """Clone what a lock names, ``https://host/repository?subdirectory=…#commit``, with the operator's own logins for it.

    Nothing of it is run, and no ssh.

    :param into: an empty directory.
    :raises EnvironmentFailedError: it cannot be had, or not so.
    """
    parts = urlsplit(source)
    url, commit = urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), parts.fragment
    project = parse_qs(parts.query).get("subdirectory", [""])[0]
    binary = shutil.which("git", path=uv.variables.get("PATH"))
    if parts.scheme not in _SCHEMES or not re.fullmatch(_COMMIT, commit) or ".." in Path(f"/{project}").parts:
        raise _failure(name, f"only by {', '.join(_SCHEMES)}, and by its commit", source)
    if binary is None or uv.variables.get("UV_OFFLINE"):
        raise _failure(name, "there is no git" if binary is None else "there is no network to be used", source)
    git = [binary, "-c", _NO_HOOKS, "-C", str(into)]
    every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    steps = [
        (["init", "--quiet", "--template="], ""),
        (["remote", "add", "origin", url], ""),
        (["fetch", "--quiet", "--no-recurse-submodules", "origin", *every, commit], ":".join(_SCHEMES)),
        (["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", commit], ""),
        (["submodule", "--quiet", "update", "--init", "--recursive"], "https:http"),
    ]
    for arguments, protocols in steps:
        variables = {**uv.variables, **_QUIETLY, "GIT_ALLOW_PROTOCOL": protocols}
        outcome = uv.follow([*git, *arguments], "git", variables, directory=os.sep, quiet=True)
        if outcome.code:
            raise _failure(name, outcome.errors.strip() or f"git ends with exit code {outcome.code}", url)
    return Clone(name, into, project)


def _failure(name: str, why: str, where: str) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"The source of {name} cannot be fetched to be built: {why}.",
        where=where,
        hint="Have a wheel of it on the index, or put it beside the handler.",
    )
