"""The only caller of git: what it gets of the caller's shell, and what it is asked."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_GITS_OWN = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"}
)
_SECONDS = 60


def ask(directory: Path, *arguments: str, given: str | None = None) -> str | None:
    """What git says, or None where it fails."""
    try:
        answer = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", "-C", str(directory), *arguments],
            env=_variables(),
            input=None if given is None else os.fsencode(given),
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(answer.stdout).strip("\n") if answer.returncode == 0 else None


def names(directory: Path) -> tuple[list[str], list[str]] | None:
    """What lies in a directory: the tracked files, and those that are neither tracked nor ignored. None where git cannot say."""
    tracked = ask(directory, "ls-files", "-z", "--cached")
    others = ask(directory, "ls-files", "-z", "--others", "--exclude-standard")
    if tracked is None or others is None:
        return None
    return [name for name in tracked.split("\0") if name], [name.rstrip("/") for name in others.split("\0") if name]


def _variables() -> dict[str, str]:
    """An environment for git in which a hook's own ``GIT_DIR`` does not lead it astray, and in which it writes nothing."""
    kept = {name: value for name, value in os.environ.items() if name not in _GITS_OWN}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
