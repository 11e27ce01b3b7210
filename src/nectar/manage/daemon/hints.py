"""What to type next, by the kind of exception that a handler's code ended with: for who launches it, or tries it."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nectar
from nectar.api.computation import Computation
from nectar.errors import NectarError
from nectar.manage.files.tables import list_of_text
from nectar.manage.source.pyproject import normalise, open_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nectar.manage.source.source import Source

_DISTRIBUTIONS = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "pkg_resources": "setuptools",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Of modules that are often imported and called otherwise than what they are installed with."""
_FILE = r'^ *File "([^"\n]+)", line \d+'
_VARIABLE = r"""(?i:(?:KeyError: ['"]|(?:environment|env)\w* variable[s]?:? +[`'"]?)([A-Za-z_][A-Za-z0-9_]*))"""


class Case(NamedTuple):
    """What failed, and where.

    :ivar said: type and message of the exception, as in a traceback's last line.
    :ivar traceback: the author's, with the author's paths; empty where there is none.
    :ivar loading: whether it was raised when the handler was loaded.
    :ivar variables: those of the handler's process.
    :ivar environ: the launching shell's.
    :ivar python: the version of the handler's Python, as in ``3.12.1``.
    """

    source: Source
    said: str
    traceback: str
    loading: bool
    variables: Mapping[str, str]
    environ: Mapping[str, str]
    python: str

    @property
    def file(self) -> Path | None:
        """Where it was raised."""
        found = re.findall(_FILE, self.traceback, re.MULTILINE)
        return Path(found[-1]) if found else None


def find_hint(case: Case) -> str | None:
    """What to do about it, in one line; None where the message has to say it."""
    for pattern, hint in _KINDS:
        found = re.match(pattern, case.said)
        told = hint(case, *found.groups()) if found else None
        if told:
            return told
    return _name_variable(case)


def _missing_module(case: Case, name: str) -> str | None:
    top = name.partition(".")[0]
    if top == nectar.__name__:
        return _of_nectar(case, name.rpartition(".")[2])
    if top in sys.stdlib_module_names:
        asked = "--python, or requires-python"
        return f"Python {case.python}, as it is here, has no {top}, which others have: choose another with {asked}."
    return _beside(case, name) or _depend(case, top)


def _depend(case: Case, module: str) -> str:
    """How to have the distribution with a module installed."""
    distribution, path = _DISTRIBUTIONS.get(module, module), case.source.path
    if case.source.kind == "file":
        return f"uv add --script {_typed(path)} {distribution}"
    if case.source.kind == "package":
        project = "" if path == _here() else f"--project {_typed(path)} "
        return _chosen_elsewhere(path, distribution) + f"uv add {project}{distribution}"
    return f"It does not name {distribution} among its dependencies: its author does that, with uv add {distribution}."


def _chosen_elsewhere(directory: Path, distribution: str) -> str:
    """What to say where a project names a distribution, and not among what its handler gets in any case."""
    try:
        project = open_project(directory)
    except (NectarError, OSError):
        return ""
    for place, told in (
        (("project", "optional-dependencies"), "The extra {} has it: --extra {} here and at launch. Always: "),
        (("dependency-groups",), "It is in the dependency group {}, of which a handler gets nothing: "),
    ):
        for name, requirements in project.section(*place).items():
            if any(
                normalise(re.split(r"[^\w.-]", each, maxsplit=1)[0]) == normalise(distribution)
                for each in list_of_text(requirements)
            ):
                return told.format(name, name)
    return ""


def _beside(case: Case, name: str) -> str | None:
    """What to say where a module of that name lies in the source, and is not found there."""
    if case.source.kind not in ("file", "package"):
        return None
    top = case.source.path if case.source.kind == "package" else case.source.directory
    places = [*([case.file.parent] if case.file else []), top, top / "src"]
    found = next((each for place in places if place.is_relative_to(top) for each in _module_files(place, name)), None)
    if found is None:
        return _missing_part(case, name)
    if case.source.kind == "file":
        return f"{_typed(found)} lies beside it and was not taken along: that is done for what it imports by name, as in `import {name}`."
    if found.parent != top and (found.parent / "__init__.py").is_file() and case.file and found.parent == case.file.parent:
        return f"{_typed(found)} lies beside it, in the same package: write `from . import {name}`, or `from .{name} import …`."
    return f"{_typed(found)} is not packed with the project: move it into the project's package, or correct what the build backend packs."


def _module_files(place: Path, name: str) -> Iterable[Path]:
    path = place.joinpath(*name.split("."))
    return [each for each in (path.with_name(f"{path.name}.py"), path / "__init__.py") if each.is_file()]


def _missing_part(case: Case, name: str) -> str | None:
    """Of a module in the project's own package, which is not even in the source."""
    package, _, part = name.rpartition(".")
    top = case.source.path
    place = next((each for each in (top / "src", top) if package and (each.joinpath(*package.split("."))).is_dir()), None)
    if place is None:
        return None
    directory = place.joinpath(*package.split("."))
    near = difflib.get_close_matches(part, [file.stem for file in directory.glob("*.py")], 1)
    return f"There is no {part}.py in {_typed(directory)}." + (f" Did you mean {near[0]}?" if near else "")


def _of_nectar(_case: Case, name: str) -> str:
    names = [each for each in nectar.__all__ if not each.startswith("_")]
    near = difflib.get_close_matches(name.lower(), [each.lower() for each in names], 1)
    meant = f"Did you mean {next(each for each in names if each.lower() == near[0])}? " if near else ""
    return f"{meant}`from nectar import …` gives {', '.join(names)}, and nectar.testing what tests need."


def _undefined(_case: Case, name: str) -> str | None:
    return f"from nectar import {name}" if name in nectar.__all__ else None


def _field(_case: Case, name: str) -> str:
    fields = list(Computation.__annotations__)
    near = difflib.get_close_matches(name, fields, 1)
    return (f"Did you mean {near[0]}? " if near else "") + f"A Computation has {', '.join(fields)}."


def _relative(case: Case) -> str:
    what = "A single file is" if case.source.kind == "file" else "This module is"
    return f"{what} in no package: write `import helper` where it says `from . import helper`."


def _exit(case: Case) -> str:
    if case.loading:
        return 'The module is imported, and not run as a script: what is done then goes below `if __name__ == "__main__":`.'
    return "A handler returns its answer, or raises an exception; it ends nothing."


def _no_file(case: Case, path: str) -> str | None:
    directory = case.source.directory
    if not os.path.isabs(path):
        return f"A path that begins with no / is looked for in {directory}, where the handler runs."
    _, installed, part = path.partition("/site-packages/")
    lying = [each for each in (directory / "src" / part, directory / part) if installed and each.is_file()]
    if case.source.kind != "package" or not lying:
        return None
    return f"{_typed(lying[0])} is not packed with the project: git ignores it, or the build backend takes no such files unless it is told to."


def _name_variable(case: Case) -> str | None:
    """Where a variable is wanted that the handler does not get, and the shell has, or that nobody has."""
    last = "\n".join([*case.traceback.strip().splitlines()[-3:], case.said])
    for found in re.finditer(_VARIABLE, last):
        name = found[1]
        if name in case.variables:
            continue
        if name in case.environ:
            return (
                f'The launching shell has {name}; a handler gets it with --env {name}, or pass_env = ["{name}"] in [tool.nectar].'
            )
        if re.search(r'File "<frozen os>"|/os\.py", line', case.traceback):
            return f"Neither the handler nor this shell has {name}: --env {name}=… gives it one."
    return None


def _typed(path: Path) -> str:
    """A path as one types it here."""
    here = _here()
    return shlex.quote(str(path.relative_to(here) if here and path.is_relative_to(here) and path != here else path))


def _here() -> Path | None:
    """The current directory, where it was not removed."""
    try:
        return Path.cwd()
    except OSError:
        return None


_TERMINAL = "A handler has no terminal: what it is to know comes with the computation, or as a variable (--env NAME=…)."
_LOOP = "A loop runs already: make the handler `async def`, and await there."
_SYSTEM = "It is a library of the system's, which no package of Python's brings along: the system's package manager has it."
_DEADLINE = "So long does this computation give; --computation FILE asks one with another deadline."

_KINDS: tuple[tuple[str, Callable[..., str | None]], ...] = (
    (r"ModuleNotFoundError: No module named '([\w.]+)'", _missing_module),
    (r"ImportError: cannot import name '(\w+)' from 'nectar'", _of_nectar),
    (r"AttributeError: module 'nectar' has no attribute '(\w+)'", _of_nectar),
    (r"ImportError: attempted relative import with no known parent package", _relative),
    (
        r"ImportError: attempted relative import beyond top-level package",
        lambda _case: "It has more dots than packages stand above it.",
    ),
    (r"ImportError: lib\S+: cannot open shared object file", lambda _case: _SYSTEM),
    (r"NameError: name '(\w+)' is not defined", _undefined),
    (r"AttributeError: 'Computation' object has no attribute '(\w+)'", _field),
    (
        r"(?:FrozenInstanceError|AttributeError): cannot assign to field",
        lambda _case: "A Computation cannot be changed: keep it in a variable.",
    ),
    (r"TypeError: handler\(\) got an unexpected keyword", lambda _case: "@handler takes nothing; settings stand in [tool.nectar]."),
    (r"EOFError: EOF when reading a line", lambda _case: _TERMINAL),
    (r"SystemExit\b", _exit),
    (r"RuntimeError: asyncio\.run\(\) cannot be called from a running event loop", lambda _case: _LOOP),
    (r"FileNotFoundError: \[Errno 2\] No such file or directory: '([^']+)'", _no_file),
    (r"The handler did not answer within", lambda _case: _DEADLINE),
)
