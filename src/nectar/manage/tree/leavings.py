"""What git, Python and tools leave in a directory, and what is never source for that."""

from __future__ import annotations

PYCACHE = "__pycache__"
COMPILED = (".pyc", ".pyo")
OUTPUT = frozenset({"build", "dist"})
"""At the top of a project these are what a backend wrote; an old ``build/`` puts deleted modules into new wheels."""

_NAMES = frozenset(
    {
        *(".git", ".hg", ".svn"),
        *(PYCACHE, ".venv", ".eggs"),
        *(
            ".mypy_cache",
            ".ruff_cache",
            ".pytest_cache",
            ".hypothesis",
            ".tox",
            ".nox",
            ".coverage",
            ".import_linter_cache",
            ".cache",
        ),
        *("node_modules", ".ipynb_checkpoints"),
        *(".idea", ".vscode", ".DS_Store"),
    },
)
_ENDINGS = (*COMPILED, ".egg-info", ".swp", "~")


def is_leaving(name: str) -> bool:
    """Whether a file or a directory of this name is never source, wherever it lies."""
    return name in _NAMES or name.endswith(_ENDINGS)
