"""The settings of uv that decide what is installed: from its variables and its files."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import tomli_w

from nectar.errors import EnvironmentFailedError
from nectar.home import find_user_home
from nectar.manage.files.authored import SETTINGS, read_bytes, read_toml
from nectar.manage.files.strangers import is_trusted
from nectar.manage.files.tables import list_of_text, section
from nectar.manage.uv.passing import remove_logins, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DECIDING = re.compile(
    r"UV_(INDEX|INDEX_URL|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|INDEX_STRATEGY|EXCLUDE_NEWER.*|PRERELEASE.*|RESOLUTION"
    r"|FORK_STRATEGY|CONSTRAINT|OVERRIDE|EXCLUDE|BUILD_CONSTRAINT|NO_BINARY.*|NO_BUILD.*|NO_SOURCES.*|TORCH_BACKEND|NO_CONFIG)",
)
_FILES_OF = frozenset({"UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_BUILD_CONSTRAINT"})
_INDEXES = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS")
_WITH_LOGIN = r"[A-Za-z][\w+.-]*://[^/@\s\"']+@[^\s,]+"
_NAMED = r"(?:^|\s)([\w.-]+)=(\S+)"
_NAME = r"^[\w.-]+="
_QUERY = r"[?#][^\s,]*"


class Composed(NamedTuple):
    """What uv is given as its one file of settings.

    :ivar dropped: the names of the project's settings that do not count.
    """

    content: bytes
    dropped: list[str]


def digest(environ: Mapping[str, str], *, above: Path | None) -> str:
    """A digest of the settings, without logins: a changed password changes no environment.

    :param above: the ``uv.toml`` in a directory above the project that counts for it, if there is one.
    """
    parts = [f"{name}={environ[name]}" for name in sorted(environ) if _DECIDING.fullmatch(name) and environ[name]]
    for name in sorted(_FILES_OF & set(environ)):
        parts += [f"{name}: {_text(Path(file))}" for file in environ[name].split()]
    parts += [f"{place}: {_text(file)}" for place, file in find_files(environ, above=above)]
    return hashlib.sha256("\0".join(map(remove_logins, parts)).encode(errors="surrogateescape")).hexdigest()


def select_deciding(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a shell that decide what is installed, without anything in them that could be a secret."""
    names = sorted(name for name in environ if environ[name] and (_DECIDING.fullmatch(name) or name == "UV_CONFIG_FILE"))
    return {name: re.sub(_QUERY, "", remove_logins(environ[name])) for name in names}


def compare(before: object, environ: Mapping[str, str]) -> list[str]:
    """Lines about what of a shell decides now, and did not then, or the other way round.

    :param before: what :func:`select_deciding` said of the shell of then; nothing where nobody asked.
    """
    if not isinstance(before, dict):
        return []
    now, lines = select_deciding(environ), []
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            then, here = (f"{name}={each[name]}" if name in each else f"no {name}" for each in (before, now))
            lines.append(f"The shell that it was started from last had {then}, and this one has {here}.")
    return lines


def find_files(environ: Mapping[str, str], *, above: Path | None) -> list[tuple[str, Path]]:
    """The files of settings that uv would read, the project's own aside, with what each is."""
    if environ.get("UV_CONFIG_FILE"):
        return [("given", Path(environ["UV_CONFIG_FILE"]).absolute())]
    if environ.get("UV_NO_CONFIG"):
        return []
    home = find_user_home(environ)
    user = Path(environ["XDG_CONFIG_HOME"]) if environ.get("XDG_CONFIG_HOME") else home and home / ".config"
    system = [Path(place) for place in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    places = [
        ("above", above),
        ("user", user and user / "uv" / "uv.toml"),
        *(("system", place / "uv" / "uv.toml") for place in system),
    ]
    places.append(("system", Path("/etc/uv/uv.toml")))
    return [(place, file) for place, file in places if file is not None and os.path.isfile(file)]


def compose(environ: Mapping[str, str], own: Path | None, *, near: Path | None = None, beside: Iterable[Path] = ()) -> Composed:
    """One file of settings for uv, in place of all that it would look for.

    A project's settings, as far as they pass, come before its operator's. With them are the logins that the shell has for
    indexes: in a variable, whoever builds would get them.

    :param own: the project's file of settings, a ``uv.toml`` or a ``pyproject.toml``.
    :param near: the directory that the file is for, where a lock is to name the project's indexes by relative paths.
    :param beside: further files, whose indexes sources may name.
    :raises EnvironmentFailedError: a file of settings cannot be read.
    """
    layers = [_moved(read_toml(file), file.parent) for file in _operators(environ)]
    dropped: list[str] = []
    if own is not None and not environ.get("UV_CONFIG_FILE") and not environ.get("UV_NO_CONFIG"):
        passing, dropped = split(read(own))
        layers.insert(0, _moved(passing, own.parent, near))
    table: dict[str, Any] = {}
    for layer in layers:
        table = _joined(table, layer)
    listed = _tables(table.get("index"))
    indexes = [*_distinct(listed), *_logins(environ, [*listed, *_indexes(beside)])]
    return Composed(tomli_w.dumps({**table, "index": indexes} if indexes else table).encode(), dropped)


def read_setting(name: str, environ: Mapping[str, str]) -> object:
    """One of the operator's settings; None where no file of theirs has it.

    :raises EnvironmentFailedError: a file of settings cannot be read.
    """
    return next((table[name] for table in map(read_toml, _operators(environ)) if name in table), None)


def list_local(table: Mapping[str, Any], base: Path) -> list[Path]:
    """The places on this machine that settings name as indexes.

    :param base: the directory of their file.
    """
    urls = [each.get("url") for each in _tables(table.get("index"))]
    urls += [*list_of_text(table.get("find-links")), table.get("index-url"), *list_of_text(table.get("extra-index-url"))]
    places = (find_place(url, base) for url in urls if isinstance(url, str) and url)
    return [place for place in places if place is not None]


def list_operators(environ: Mapping[str, str]) -> list[Path]:
    """The same of what the operator names, in files or in variables."""
    found = [place for file in _operators(environ) for place in list_local(read_toml(file), file.parent)]
    named = (re.sub(_NAME, "", url) for name in _INDEXES for url in re.split(r"[\s,]+", environ.get(name, "")) if url)
    return [*found, *(place for url in named if (place := find_place(url, Path.cwd())) is not None)]


def find_place(url: str, base: Path) -> Path | None:
    """Where on this machine something lies that is named by an address or a path; None where it is another machine's.

    :param base: from which a path is meant.
    """
    if "://" in url and not url.lower().startswith("file:"):
        return None
    path = unquote(urlsplit(url).path) if url.lower().startswith("file:") else url
    return None if "\0" in path else Path(os.path.realpath(os.path.join(base, os.path.expanduser(path))))


def find_own(directory: Path) -> Path | None:
    """The file with a project's own settings, of which uv reads one: its ``uv.toml``, or its ``pyproject.toml``."""
    if (directory / "uv.toml").is_file():
        return directory / "uv.toml"
    with suppress(EnvironmentFailedError):
        if "uv" in section(read_toml(directory / "pyproject.toml"), "tool"):
            return directory / "pyproject.toml"
    return None


def find_above(directory: Path) -> Path | None:
    """The nearest ``uv.toml`` (or ``pyproject.toml`` with ``[tool.uv]``) above a project's directory; a stranger's does not count."""
    for place in directory.parents:
        if is_trusted(place / "uv.toml", directory):
            return place / "uv.toml"
        try:
            if is_trusted(place / "pyproject.toml", directory) and "uv" in section(read_toml(place / "pyproject.toml"), "tool"):
                return place / "pyproject.toml"
        except EnvironmentFailedError:
            continue
    return None


def find_beside(file: Path) -> Path | None:
    """The nearest ``uv.toml`` beside a single file or above it; a stranger's does not count."""
    return next((place / "uv.toml" for place in file.parents if is_trusted(place / "uv.toml", file)), None)


def _operators(environ: Mapping[str, str]) -> list[Path]:
    """The operator's own files of settings: uv reads one of the user's and one of the system's."""
    found: dict[str, Path] = {}
    for place, file in find_files(environ, above=None):
        found.setdefault(place, file)
    return list(found.values())


def read(file: Path) -> dict[str, Any]:
    """The settings in a ``uv.toml``, or in the ``[tool.uv]`` of a ``pyproject.toml``."""
    table = read_toml(file)
    return section(table, "tool", "uv") if file.name == "pyproject.toml" else table


def _indexes(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The indexes in files, of which some may be no settings at all."""
    for file in files:
        with suppress(EnvironmentFailedError):
            yield from _tables(read(file).get("index"))


def _joined(first: Any, second: Any) -> Any:
    """Two settings as uv joins them: of lists and tables both, of anything else the first."""
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *second]
    if isinstance(first, dict) and isinstance(second, dict):
        return {**first, **{name: _joined(first[name], value) if name in first else value for name, value in second.items()}}
    return first


def _distinct(indexes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Indexes of several files for one, in which a name stands once, and one is the default: the first counts."""
    found: list[dict[str, Any]] = []
    for index in indexes:
        if "name" in index and any(each.get("name") == index["name"] for each in found):
            continue
        if index.get("default") is True and any(each.get("default") is True for each in found):
            if "name" in index:
                found.append({**index, "default": False, "explicit": True})
            continue
        found.append(index)
    return found


def _logins(environ: Mapping[str, str], indexes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The logins that a shell has, as indexes that are asked for nothing: uv uses each login wherever it is asked for one there."""
    urls = [url for name in _INDEXES for url in re.findall(_WITH_LOGIN, environ.get(name, ""))]
    shells = [pair for name in _INDEXES for pair in re.findall(_NAMED, environ.get(name, ""))]
    for name, url in [*shells, *((index.get("name"), index.get("url")) for index in indexes)]:
        if not isinstance(name, str) or not isinstance(url, str) or "://" not in url:
            continue
        stem = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}"
        user, password = (environ.get(f"{stem}_{part}", "") for part in ("USERNAME", "PASSWORD"))
        if user or password:
            scheme, _, rest = remove_logins(url).partition("://")
            urls.append(f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}")
    return [{"name": f"nectar-login-{number}", "url": url, "explicit": True} for number, url in enumerate(dict.fromkeys(urls), 1)]


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _moved(table: dict[str, Any], base: Path, near: Path | None = None) -> dict[str, Any]:
    """The same settings for a file elsewhere."""
    changed = dict(table)
    for name in ("find-links", "extra-index-url"):
        if name in changed:
            changed[name] = [_place(item, base, near) for item in list_of_text(changed[name])]
    if isinstance(changed.get("index-url"), str):
        changed["index-url"] = _place(changed["index-url"], base, near)
    if isinstance(changed.get("index"), list):
        indexes = _tables(changed["index"])
        changed["index"] = [
            {**each, "url": _place(each["url"], base, near)} if isinstance(each.get("url"), str) else each for each in indexes
        ]
    return changed


def _place(url: str, base: Path, near: Path | None) -> str:
    if "://" in url or url.startswith("/"):
        return url
    return os.path.normpath(base / url) if near is None else os.path.relpath(base / url, near)


def _text(file: Path) -> str:
    try:
        return read_bytes(file, SETTINGS).decode(errors="replace")
    except OSError:
        return ""
