"""``nectar new``: a project from the template, or a single file."""

from __future__ import annotations

import keyword
import os
import re
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import ConflictError, EnvironmentFailedError, NectarError, UsageError
from nectar.home import NECTAR, make_absolute
from nectar.manage import template
from nectar.manage.source import workspace
from nectar.manage.uv.interpreters import is_too_old
from nectar.manage.uv.uv import Uv, find_uv, select_variables
from nectar.settings import FLOOR, OLDEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TAKEN = (NECTAR, "test", "tests", "conftest", "pytest", "pluggy")
"""Modules beside Python's own that another of the name would hide from the handler, or from its tests."""
_KEPT = ("README.md", ".gitignore")
"""Files that nothing depends on, and a fresh clone may have: its own stay."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the new handler should be.

    :ivar name: its distribution's; None takes the path's last part.
    :ivar python: the oldest Python for it, as ``3.12``; None is the template's.
    :ivar hooks: whether a project's handler is an object with hooks.
    :ivar joins: whether a project becomes a member of a workspace above it.
    """

    name: str | None = None
    python: str | None = None
    description: str | None = None
    hooks: bool = False
    joins: bool = True


def new_project(path: Path, wanted: Wanted, *, report: Callable[[str], None] = lambda _line: None) -> Path:
    """Make a project, and have the workspace above it name it, as ``uv init`` does.

    :param path: of its directory; one that is there keeps all that is in it, its README and ``.gitignore`` too.
    :param report: is given uv's words.
    :returns: the path, absolute.
    :raises UsageError: no name can be made of the path, or it is not a name.
    :raises ConflictError: a file of it is there already.
    :raises EnvironmentFailedError: it cannot become a member.
    """
    path = make_absolute(path)
    names = _names(wanted.name or path.name)
    requires = _requires(wanted.python)
    if len(_encoded(wanted.description or "").splitlines()) > 1:
        raise UsageError("The description is more than one line.")
    if (path.exists() or path.is_symlink()) and not path.is_dir():
        raise ConflictError("Something is there already.", where=str(path), hint="Give another path.")
    try:
        place = path if path.is_dir() else path.parent
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=place, ignore_cleanup_errors=True) as aside:
            copy = Path(aside, "project")
            template.make(copy, names, hooks=wanted.hooks, requires=requires, description=wanted.description)
            _refuse_to_overwrite(copy, path)
            with _joining(path, names[0], report=report) if wanted.joins else nullcontext():
                _place(copy, path)
    except OSError as error:
        raise NectarError(f"The project cannot be written: {error.strerror}.", where=str(error.filename or path)) from None
    return path


def _refuse_to_overwrite(copy: Path, path: Path) -> None:
    files = [each.relative_to(copy) for each in copy.rglob("*") if each.is_file()]
    there = sorted({str(way) for each in files for way in _in_the_way(path, each)})
    if there:
        raise ConflictError(
            f"It would overwrite {', '.join(there)}.", where=str(path), hint="Give another path, or move that away."
        )


def _in_the_way(path: Path, name: Path) -> Iterator[Path]:
    """What is in the place of a file, or of a directory that it is in."""
    if os.path.lexists(path / name) and name.name not in _KEPT:
        yield name
    yield from (each for each in name.parents if os.path.lexists(path / each) and not (path / each).is_dir())


def _place(copy: Path, path: Path) -> None:
    """Have all files in their place, or none."""
    if not path.exists():
        copy.rename(path)
        return
    placed: list[Path] = []
    try:
        for each in sorted(copy.rglob("*")):
            target = path / each.relative_to(copy)
            if each.is_dir() and not target.is_dir():
                target.mkdir()
                placed.append(target)
            elif each.is_file() and not os.path.lexists(target):
                each.rename(target)
                placed.append(target)
    except BaseException:
        for target in reversed(placed):
            target.rmdir() if target.is_dir() else target.unlink()
        raise


@contextmanager
def _joining(path: Path, distribution: str, *, report: Callable[[str], None]) -> Iterator[None]:
    """Have uv put a project that is made in the block into the workspace above it, if there is one.

    uv keeps the comments in the workspace's ``pyproject.toml``, and knows which names and exclusions are there. It does so only together
    with making the project, whose file is ours.
    """
    root = workspace.find_above(path)
    if root is None:
        yield
        return
    before, there = root.file.read_bytes(), path.is_dir()
    uv = Uv(find_uv(), {**select_variables(os.environ), "UV_PYTHON_DOWNLOADS": "never"}, report, lambda _line: None, umask=-1)
    try:
        outcome = uv.run(
            "init", "--bare", "--vcs", "none", "--no-pin-python", "--offline", "--name", distribution, path, quiet=True
        )
        if outcome.code:
            raise EnvironmentFailedError(
                "The project could not be put into the workspace above it.",
                where=str(root.file),
                hint="With --no-workspace it is none of it.",
                detail=outcome.errors.strip(),
            )
        (path / "pyproject.toml").unlink()
        if not there:
            path.rmdir()
        yield
    except BaseException:
        root.file.write_bytes(before)
        raise
    for line in outcome.errors.splitlines():
        if not line.startswith("Initialized"):
            report(line)


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
    text = _encoded(template.SCRIPT.format(requires=_requires(wanted.python) or FLOOR, description=description))
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
