"""Whose a file is: what lies above a project, or beside a single file, counts only where no stranger can have put it there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def list_owners(project: Path) -> frozenset[int]:
    """Whose files count for a project: those of this user, of root, and of the project's own owner.

    :param project: its directory, or the single file.
    """
    return frozenset({os.geteuid(), 0, project.stat().st_uid})


def is_trusted(file: Path, project: Path) -> bool:
    """Whether a regular file is there that belongs to this user, to root, or to the owner of the project; so must a link to it."""
    try:
        named, meant, ours = file.lstat(), file.stat(), list_owners(project)
    except OSError:
        return False
    return stat.S_ISREG(meant.st_mode) and {named.st_uid, meant.st_uid} <= ours


def is_foreign(file: Path, project: Path) -> bool:
    """Whether something is there, and somebody else's."""
    return os.path.lexists(file) and file.lstat().st_uid not in list_owners(project)


def is_planted(file: Path, project: Path) -> bool:
    """Whether something is there that a stranger has put where anybody may put things, as in ``/tmp``."""
    return bool(file.parent.stat().st_mode & stat.S_IWOTH) and is_foreign(file, project)
