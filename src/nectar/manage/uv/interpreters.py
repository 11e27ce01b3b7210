"""Choosing the interpreter of an environment."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.home import make_absolute
from nectar.manage.files.authored import LINE, read_text
from nectar.manage.files.strangers import is_trusted
from nectar.settings import FLOOR, OLDEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nectar.manage.uv.uv import Outcome, Uv

OPTION = "--python"
_VERSION = r"(?i)(?:python@?|cpython@?)?(\d+(?:\.\d+){0,2})"
_NOT_FOUND = "No interpreter found"
_ONE_IS_BROKEN = r"Failed to inspect Python interpreter from .*search path"
_SPECIFIERS = r"\s*(===|==|~=|!=|<=|>=|<|>)"
_ONE = r"[ \t]*(?:===|==|~=|!=|<=|>=|<|>)[ \t]*[0-9A-Za-z][\w.*+!-]*[ \t]*"
_LIST = re.compile(rf"{_ONE}(?:,{_ONE})*", re.ASCII)
_NAMED = (
    r"any|default|(?:(?:python|cpython|pypy|graalpy|pyodide|cp|pp|gp)[@-]?)?\d+(?:\.\d+){0,2}(?:(?:a|b|rc)\d+)?(?:td?|d)?(?:\+[a-z]+)*"
    r"|(?:python|cpython|pypy|graalpy|pyodide)(?:-\d+(?:\.\d+){0,2}(?:-(?:any|none|linux|macos|gnu\w*|musl\w*|x86\w*|aarch64|arm\w*)){0,3})?"
)
"""What of uv's requests for a Python can be no file of the author's."""


@dataclass(frozen=True)
class Request:
    """Which Python a handler asks for.

    :ivar requires: its project's ``requires-python``, or None.
    :ivar wanted: what a person asked for, by ``--python`` or a ``.python-version``, or None: a version, a path, whatever uv knows.
    :ivar where: the place that ``wanted`` is from.
    """

    requires: str | None = None
    wanted: str | None = None
    where: str = OPTION

    def __post_init__(self) -> None:
        """:raises EnvironmentFailedError: what is wanted is no request for a Python, or one that only an operator can have."""
        wanted = self.wanted
        if wanted is None or _LIST.fullmatch(wanted) or re.fullmatch(_NAMED, wanted, re.IGNORECASE | re.ASCII):
            return
        if self.where == OPTION and not wanted.startswith("-") and wanted.isprintable():
            return
        raise EnvironmentFailedError(
            f"{wanted!r} asks for no Python.",
            where=self.where,
            hint="Ask for a version, as in 3.12 or >=3.12. A Python by its path is for --python alone.",
        )

    def describe(self) -> str:
        """What an environment's content is made of: the request, never the interpreter that happened to be found for it."""
        wanted = self.wanted
        if wanted and os.sep in wanted:
            wanted = str(make_absolute(wanted))
        return f"requires {self.requires or 'nothing'}; wanted {wanted or 'nothing'}"


def join_required(said: Iterable[tuple[str | None, Path]]) -> str | None:
    """What several files together say as ``requires-python``, each with its text or None.

    :raises EnvironmentFailedError: one of the texts is no list of version specifiers.
    """
    texts = {}
    for text, file in said:
        if text and not _LIST.fullmatch(text):
            raise EnvironmentFailedError(
                f"requires-python = {text!r} is no version specifier.",
                where=str(file),
                hint=f'One looks like "{FLOOR}" or "{FLOOR},<3.14".',
            )
        if text:
            texts[text] = file
    return ",".join(texts) or None


def read_pinned(directory: Path, project: Path) -> str | None:
    """What the first line of a directory's ``.python-version`` asks for; a stranger's does not count.

    :param project: the project's directory, or the single file.
    """
    if not is_trusted(directory / ".python-version", project):
        return None
    try:
        lines = read_text(directory / ".python-version", LINE).splitlines()
    except (OSError, EnvironmentFailedError):
        return None
    return next((line.strip() for line in lines if line.strip() and not line.strip().startswith("#")), None)


def choose(uv: Uv, request: Request, *, downloads: bool) -> str:
    """What to give uv as ``--python``: the path of an interpreter that is there, or, with downloads, a request that it can fetch.

    :raises EnvironmentFailedError: none fits (those that are there are listed), or only one that is older than :data:`OLDEST`.
    """
    version = re.fullmatch(_VERSION, request.wanted) if request.wanted else None
    if request.wanted is None or version or re.match(_SPECIFIERS, request.wanted):
        wanted = _as_specifiers(version[1]) if version else request.wanted
        asked = ",".join(part for part in (wanted, request.requires, FLOOR) if part)
        found = _find(uv, asked)
        if found:
            return found
        if downloads and not is_too_old(version[1] if version else None):
            return version[1] if version and request.requires is None else asked
        raise _none_fits(uv, request, wanted)
    found = _find(uv, request.wanted)
    if not found and downloads:
        return request.wanted
    if not found:
        raise _none_fits(uv, request, None)
    check(_version_of(uv, found) or "", request)
    return found


def check(version: str, request: Request) -> None:
    """Refuse an interpreter that is older than handlers may be.

    :raises EnvironmentFailedError: it is.
    """
    if is_too_old(version):
        raise EnvironmentFailedError(
            f"Python {version} is too old: handlers run on Python {OLDEST} and later.",
            where=_where(request),
            hint="Ask for a newer one, as in --python 3.12, or raise requires-python.",
        )


def _find(uv: Uv, asked: str) -> str | None:
    return _ask(uv, asked)


def _as_specifiers(version: str) -> str:
    return f"=={version}" if version.count(".") == 2 else f"=={version}.*"


def is_too_old(version: str | None) -> bool:
    """Whether handlers do not run on a Python, as far as its version is known: of ``"3"`` it is not."""
    if not version:
        return False
    numbers, oldest = (tuple(int(number) for number in re.findall(r"\d+", text)[:2]) for text in (version, OLDEST))
    return numbers[:1] < oldest[:1] or (len(numbers) == len(oldest) and numbers < oldest)


def _where(request: Request) -> str:
    if request.wanted:
        return f"{request.where}: {request.wanted}"
    return f'requires-python = "{request.requires}"' if request.requires else "no requires-python"


def _none_fits(uv: Uv, request: Request, wanted: str | None) -> EnvironmentFailedError:
    alone = wanted or request.requires
    older = _find(uv, alone) if alone else None
    if older is None and request.wanted and not wanted:
        older = _find(uv, request.wanted)
    said = _look(uv, alone or FLOOR).errors.strip()
    there = list_installed(uv)
    listed = ", ".join(dict.fromkeys(version for version, _ in there if not is_too_old(version))) or f"none from {OLDEST} on"
    version = _version_of(uv, older) if older else None
    named = re.fullmatch(_VERSION, request.wanted or "")
    if is_too_old(version) or (named and is_too_old(named[1])):
        shown = version or (named[1] if named else "")
        return EnvironmentFailedError(
            f"Python {shown} is too old: handlers run on Python {OLDEST} and later.",
            where=_where(request),
            hint=f"Pythons that are here: {listed}.",
        )
    if version and wanted and request.requires:
        return EnvironmentFailedError(
            f"Python {version} does not satisfy the handler's requires-python, which is {request.requires}.",
            where=_where(request),
            hint=f"Pythons that are here: {listed}.",
        )
    return EnvironmentFailedError(
        "No Python that is here fits the handler.",
        where=_where(request),
        hint=f"Pythons that are here: {listed}. Install one that fits, or let uv fetch one with --python-downloads.",
        detail=said if re.search(_ONE_IS_BROKEN, said) else None,
    )


def _version_of(uv: Uv, path: str) -> str | None:
    return _ask(uv, "--show-version", path)


def _ask(uv: Uv, *arguments: str) -> str | None:
    """Ask uv for a Python that is here; None where it finds none.

    :raises EnvironmentFailedError: it could not look; its words are in the detail.
    """
    outcome = _look(uv, *arguments)
    if outcome.code == 0:
        return outcome.output.strip()
    if _NOT_FOUND in outcome.errors or re.search(_ONE_IS_BROKEN, outcome.errors):
        return None
    raise _failed(outcome)


def _look(uv: Uv, *arguments: str) -> Outcome:
    never = {"UV_PYTHON_DOWNLOADS": "never"}
    return uv.bare().run("python", "find", "--no-project", "--system", *arguments, variables=never, quiet=True)


def list_installed(uv: Uv) -> list[tuple[str, str]]:
    """The Pythons that are here, newest first, as pairs of version and path.

    :raises EnvironmentFailedError: uv could not look; its words are in the detail.
    """
    outcome = uv.bare().run("python", "list", "--only-installed", "--output-format", "json", quiet=True)
    if outcome.code:
        raise _failed(outcome)
    try:
        rows = json.loads(outcome.output)
        return [(row["version"], row["path"]) for row in rows if row.get("implementation") == "cpython"]
    except (ValueError, KeyError, TypeError):
        return []


def _failed(outcome: Outcome) -> EnvironmentFailedError:
    return EnvironmentFailedError("uv could not look for a Python.", detail=outcome.errors.strip())


def make_search_path(environ: Mapping[str, str]) -> str:
    """PATH for looking for Pythons, with pyenv's shims replaced by what they stand for, and without the directory we are in.

    A shim answers by the directory that it is called in and fails for every version that is not selected there, and uv gives up
    at one that fails. The selected versions come first, then the others, newest first. An entry that is not absolute would have
    uv run what lies in the author's tree, when an operator stands in it.
    """
    entries = []
    for entry in environ.get("PATH", os.defpath).split(os.pathsep):
        directory = Path(entry)
        if directory.name == "shims" and os.path.isdir(directory.parent / "versions"):
            entries += [str(path / "bin") for path in _pyenv_versions(directory.parent / "versions", environ.get("PYENV_VERSION"))]
        elif directory.is_absolute():
            entries.append(entry)
    return os.pathsep.join(dict.fromkeys(entries))


def _pyenv_versions(versions: Path, selected: str | None) -> list[Path]:
    try:
        chosen = selected.split(":") if selected else (versions.parent / "version").read_text().split()
    except (OSError, UnicodeDecodeError):
        chosen = []
    try:
        found = [path for path in versions.iterdir() if os.path.exists(path / "bin" / "python")]
    except OSError:
        return []
    found.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)], reverse=True)
    return sorted(found, key=lambda path: chosen.index(path.name) if path.name in chosen else len(chosen))
