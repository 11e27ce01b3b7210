"""The code in a page."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str, *, after: str = "") -> list[str]:
    """The fenced blocks of a language in a page, those after a heading only, each with a newline at its end."""
    text = ROOT.joinpath(page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text[text.index(after) :], re.DOTALL | re.MULTILINE)
