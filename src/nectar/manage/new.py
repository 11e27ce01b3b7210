"""``nectar new``: a project from the template, or a single file."""

from __future__ import annotations

import keyword
import re
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

import nectar
from nectar.errors import ConflictError, NectarError, UsageError
from nectar.home import NECTAR, make_absolute
from nectar.manage.uv.interpreters import is_too_old
from nectar.settings import FLOOR, OLDEST

DISTRIBUTION = "my-handler"
MODULE = "my_handler"
"""The template's own names."""

_TAKEN = (NECTAR, "test", "tests", "conftest", "pytest", "pluggy")
"""Modules beside Python's own that another of the name would hide from the handler, or from its tests."""
_LEFT_OUT = ("__pycache__", ".venv", ".pytest_cache", ".nox", "uv.lock", "*.pyc", "*.egg-info")

_SCRIPT = '''\
# /// script
# requires-python = "{requires}"
# dependencies = []
# ///
"""{description}"""

from nectar import Computation, handler


@handler
def answer(comp: Computation) -> int:
    """Return the answer: an integer, 0 to 2**32 - 1."""
    return len(comp.query) * 2
'''


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the new handler should be.

    :ivar name: its distribution's; None takes the path's last part.
    :ivar python: the oldest Python for it, as ``3.12``; None is the template's.
    """

    name: str | None = None
    python: str | None = None
    description: str | None = None


def new_project(path: Path, wanted: Wanted) -> Path:
    """Make a project.

    :param path: of its directory, which is not there yet, or empty.
    :returns: the path, absolute.
    :raises UsageError: no name can be made of the path, or it is not a name.
    :raises ConflictError: something is there.
    """
    path = make_absolute(path)
    distribution, module = _names(wanted.name or path.name)
    requires = _requires(wanted.python)
    _encoded(wanted.description or "")
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise ConflictError("Something is there already.", where=str(path), hint="Give another path.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise NectarError(f"The project cannot be written: {error.strerror}.", where=str(error.filename)) from None
    try:
        copy = aside / "project"
        shutil.copytree(_template(), copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        _rename(copy, {DISTRIBUTION: distribution, MODULE: module})
        _settle(copy / "pyproject.toml", requires, wanted.description)
        if path.is_dir():  # the person may stand in it
            for each in copy.iterdir():
                each.rename(path / each.name)
        else:
            copy.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return path


def new_script(path: Path, wanted: Wanted) -> Path:
    """Make a single file with inline metadata.

    :param path: of the file; ``.py`` is added where it is missing.
    :returns: the path, absolute.
    :raises ConflictError: something is there.
    """
    path = make_absolute(path)
    path = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
    _names(wanted.name or path.stem)
    description = (wanted.description or "Answers computations of a bee-hive node.").replace("\\", "\\\\").replace('"', "'")
    text = _encoded(_SCRIPT.format(requires=_requires(wanted.python) or FLOOR, description=description))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(text)
    except FileExistsError:
        raise ConflictError("Something is there already.", where=str(path), hint="Give another path.") from None
    except OSError as error:
        raise NectarError(f"The file cannot be written: {error.strerror}.", where=str(path)) from None
    return path


def _names(text: str) -> tuple[str, str]:
    """The names of the distribution and of the module."""
    distribution = re.sub(r"[-_. ]+", "-", text).strip("-").lower()
    module = distribution.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", distribution):
        raise UsageError(
            f"No package can be named {text!r}.", hint="A name has letters, digits, - and _, and begins with a letter: --name NAME."
        )
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in _TAKEN:
        raise UsageError(f"{module!r} is taken by Python, pytest or nectar.", hint="Give another with --name NAME.")
    return distribution, module


def _requires(python: str | None) -> str | None:
    if python is None:
        return None
    if not re.fullmatch(r"3\.\d+", python) or is_too_old(python):
        raise UsageError(f"{python!r} is no Python that a handler can have.", hint=f"Give {OLDEST} or later, as --python 3.12.")
    return f">={python}"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("The description is no text: it cannot be written as UTF-8.") from None


def _template() -> Path:
    """In an installed nectar inside the package, in a checkout beside ``src``."""
    package = Path(nectar.__file__).parent
    candidates = (package / "_template", package.parent.parent / "handlers-template")
    for candidate in candidates:
        if (candidate / "pyproject.toml").is_file():
            return candidate
    raise NectarError("This nectar has come without its template.", where=str(candidates[0]), hint="Install it again.")


def _rename(tree: Path, names: dict[str, str]) -> None:
    """Put names instead of the template's, in files' names and in files."""
    for path in sorted(tree.rglob("*"), key=lambda found: len(found.parts), reverse=True):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            path.write_text(_replaced(text, names), encoding="utf-8")
        renamed = _replaced(path.name, names)
        if renamed != path.name:
            path.rename(path.with_name(renamed))


def _replaced(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def _settle(file: Path, requires: str | None, description: str | None) -> None:
    """Write what was asked for into the project's tables."""
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    if requires is not None:
        table["project"]["requires-python"] = requires
    if description is not None:
        table["project"]["description"] = description
    file.write_text(tomli_w.dumps(table), encoding="utf-8")
