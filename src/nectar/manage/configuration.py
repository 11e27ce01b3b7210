"""The settings of uv that decide what is installed: from its variables and its files."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from nectar.home import user_home
from nectar.manage.authored import read_toml
from nectar.manage.project import list_of_text, section

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIDING = re.compile(
    r"UV_(INDEX|INDEX_URL|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|INDEX_STRATEGY|EXCLUDE_NEWER.*|PRERELEASE.*|RESOLUTION"
    r"|FORK_STRATEGY|CONSTRAINT|OVERRIDE|EXCLUDE|BUILD_CONSTRAINT|NO_BINARY.*|NO_BUILD.*|NO_SOURCES.*|TORCH_BACKEND|NO_CONFIG)",
)
_FILES_OF = frozenset({"UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT"})
_PROJECTS_OWN = frozenset(
    {
        "workspace",
        "sources",
        "dev-dependencies",
        "default-groups",
        "dependency-groups",
        "package",
        "managed",
        "conflicts",
        "build-backend",
    },
)
_LOGIN = re.compile(r"(?<=://)[^/@\s\"']*@")


def digest(environ: Mapping[str, str], *, above: Path | None) -> str:
    """A digest of the settings, without logins: a changed password changes no environment.

    :param above: the ``uv.toml`` in a directory above the project that counts for it, if there is one.
    """
    parts = [f"{name}={environ[name]}" for name in sorted(environ) if _DECIDING.fullmatch(name) and environ[name]]
    for name in sorted(_FILES_OF & set(environ)):
        parts += [f"{name}: {_text(Path(file))}" for file in environ[name].split()]
    parts += [f"{place}: {_text(file)}" for place, file in files(environ, above=above)]
    return hashlib.sha256("\0".join(_LOGIN.sub("", part) for part in parts).encode(errors="surrogateescape")).hexdigest()


def files(environ: Mapping[str, str], *, above: Path | None) -> list[tuple[str, Path]]:
    """The files of settings that uv would read, the project's own aside, with what each is."""
    if environ.get("UV_CONFIG_FILE"):
        return [("given", Path(environ["UV_CONFIG_FILE"]).absolute())]
    if environ.get("UV_NO_CONFIG"):
        return []
    home = user_home(environ)
    user = Path(environ["XDG_CONFIG_HOME"]) if environ.get("XDG_CONFIG_HOME") else home and home / ".config"
    system = [Path(place) for place in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    places = [
        ("above", above),
        ("user", user and user / "uv" / "uv.toml"),
        *(("system", place / "uv" / "uv.toml") for place in system),
    ]
    places.append(("system", Path("/etc/uv/uv.toml")))
    return [(place, file) for place, file in places if file is not None and file.is_file()]


def setting(name: str, environ: Mapping[str, str], directory: Path) -> object:
    """One setting in the files of settings that count for a project, the nearest first; None where none has it."""
    own = [("own", directory / "uv.toml"), ("own", directory / "pyproject.toml")]
    near = [] if environ.get("UV_CONFIG_FILE") or environ.get("UV_NO_CONFIG") else own
    for _, file in near + files(environ, above=above(directory)):
        try:
            table = tomllib.loads(_text(file))
        except tomllib.TOMLDecodeError:
            continue
        table = section(table, "tool", "uv") if file.name == "pyproject.toml" else table
        if name in table:
            found: object = table[name]
            return found
    return None


def above(directory: Path) -> Path | None:
    """The nearest ``uv.toml`` (or ``pyproject.toml`` with ``[tool.uv]``) above a directory, where uv would find its settings."""
    for place in directory.parents:
        if (place / "uv.toml").is_file():
            return place / "uv.toml"
        pyproject = place / "pyproject.toml"
        try:
            if pyproject.is_file() and "uv" in tomllib.loads(_text(pyproject)).get("tool", {}):
                return pyproject
        except (tomllib.TOMLDecodeError, AttributeError):
            continue
    return None


def uv_toml(directory: Path) -> Path | None:
    """The nearest ``uv.toml`` in a directory or above it."""
    return next((place / "uv.toml" for place in (directory, *directory.parents) if (place / "uv.toml").is_file()), None)


def moved(file: Path) -> bytes:
    """The settings in a file of uv's, as a ``uv.toml`` for elsewhere: relative paths in it are made absolute.

    :param file: a ``uv.toml``, or a ``pyproject.toml`` with ``[tool.uv]``.
    :raises EnvironmentFailedError: it is not TOML.
    """
    table = read_toml(file)
    if file.name == "pyproject.toml":
        table = {name: value for name, value in section(table, "tool", "uv").items() if name not in _PROJECTS_OWN}
    return tomli_w.dumps(_absolute(table, file.parent)).encode()


def _absolute(table: dict[str, Any], base: Path) -> dict[str, Any]:
    changed = dict(table)
    for name in ("find-links", "extra-index-url"):
        if name in changed:
            changed[name] = [_place(item, base) for item in list_of_text(changed[name])]
    if isinstance(changed.get("index-url"), str):
        changed["index-url"] = _place(changed["index-url"], base)
    if isinstance(changed.get("index"), list):
        changed["index"] = [{**index, "url": _place(index["url"], base)} if "url" in index else index for index in changed["index"]]
    return changed


def _place(url: str, base: Path) -> str:
    return url if "://" in url or url.startswith("/") else str((base / url).resolve())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
