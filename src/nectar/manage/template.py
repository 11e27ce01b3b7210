"""What new handlers are made of: the template's files under other names, and the texts that are no files of it."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import tomli_w

import nectar
from nectar.errors import NectarError

DISTRIBUTION = "my-handler"
MODULE = "my_handler"
"""The template's own names."""
_LEFT_OUT = ("__pycache__", ".venv", ".pytest_cache", ".nox", "uv.lock", "*.pyc", "*.egg-info")

SCRIPT = '''\
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
_HOOKS = '''\
"""Answers computations of a bee-hive node."""

from nectar import Computation, hookimpl


class Answers:
    """One of it answers in each process, with what is loaded once."""

    @hookimpl
    def nectar_worker_started(self) -> None:
        """Before the first question: load a model, open a connection."""
        self.scores = {"good": 1, "life": 42}

    @hookimpl
    def nectar_compute(self, computation: Computation) -> int:
        """Return the answer: an integer, 0 to 2**32 - 1."""
        return sum(self.scores.get(word, 0) for word in computation.query.lower().split())

    @hookimpl
    def nectar_worker_stopping(self) -> None:
        """After the last question, when the handler is stopped in good order."""
        self.scores.clear()
'''
_HOOKS_TEST = """\
from nectar.testing import Worker


def test_words_that_have_a_score(worker: Worker) -> None:
    assert worker.ask("A good life") == 43
    assert worker.ask_all(["", "good", "good and good"]) == [0, 1, 2]
"""


def make(copy: Path, names: tuple[str, str], *, hooks: bool, requires: str | None, description: str | None) -> None:
    """Copy the template, and make what was asked for of it.

    :param copy: where nothing is yet.
    :param names: the distribution's and the module's.
    :param hooks: whether the handler is an object with hooks.
    :param requires: ``requires-python``; None is the template's, as for ``description``.
    """
    texts = _read(_template())
    if hooks:
        texts |= {f"src/{MODULE}/__init__.py": _HOOKS, f"tests/test_{MODULE}.py": _HOOKS_TEST}
        for name, old, new in (
            ("pyproject.toml", f"{MODULE}:answer", f"{MODULE}:Answers"),
            ("README.md", "the function that answers", "the class whose hooks answer"),
        ):
            texts[name] = texts[name].replace(old, new)
    for name, text in texts.items():
        file = copy / _renamed(name, names)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_renamed(text, names), encoding="utf-8")
    _settle(copy / "pyproject.toml", requires, description)


def _template() -> Path:
    """In an installed nectar inside the package, in a checkout beside ``src``."""
    package = Path(nectar.__file__).parent
    candidates = (package / "_template", package.parent.parent / "handlers-template")
    for candidate in candidates:
        if (candidate / "pyproject.toml").is_file():
            return candidate
    raise NectarError("This nectar has come without its template.", where=str(candidates[0]), hint="Install it again.")


def _read(template: Path) -> dict[str, str]:
    """The template's files, by their names in it."""
    files = [path.relative_to(template) for path in template.rglob("*") if path.is_file()]
    kept = [file for file in files if not any(fnmatch(part, pattern) for part in file.parts for pattern in _LEFT_OUT)]
    return {str(file): (template / file).read_text(encoding="utf-8") for file in kept}


def _renamed(text: str, names: tuple[str, str]) -> str:
    """A text with names in the place of the template's."""
    for old, new in zip((DISTRIBUTION, MODULE), names, strict=True):
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
