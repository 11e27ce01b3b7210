"""The code in a page.

A block that is a file begins with its path in a comment, ``# my_handler.py``. One of ``console`` is a session: what is typed behind
``$``, and what that prints. One of ``bash`` shows commands that are not typed in a test, because they take minutes or want another account.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "examples/*/README.md", "handlers-template/*.md")
    for page in ROOT.glob(pattern)
)


def blocks(page: str, language: str, *, after: str = "") -> list[str]:
    """The fenced blocks of a language in a page, those after a heading only, each with a newline at its end."""
    text = _read(page)
    return re.findall(rf"^```{language}\n(.*?)^```$", text[text.index(after) :], re.DOTALL | re.MULTILINE)


def languages(page: str) -> set[str]:
    """Of all its blocks: ``""`` is one of those that names none."""
    return set(re.findall(r"^```(.*)\n(?:.*\n)*?```$", _read(page), re.MULTILINE))


def spans(page: str) -> list[str]:
    """The code within its sentences, also where a line ends in it."""
    text = re.sub(r"^```.*?^```$", "", _read(page), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


def files(page: str) -> dict[str, str]:
    """What a reader would write down, by its path."""
    found = {}
    for code in (*blocks(page, "python"), *blocks(page, "toml")):
        named = re.match(r"# ([\w/.-]+\.\w+)\n", code)
        if named:
            found[named[1]] = code
    return found


def _read(page: str) -> str:
    return ROOT.joinpath(page).read_text(encoding="utf-8")
