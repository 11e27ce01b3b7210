"""Whose a file is: what lies above a project, or beside a single file, counts only where no stranger can have put it there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def counts(file: Path, project: Path) -> bool:
    """Whether a regular file is there that belongs to this user, to root, or to the owner of the project; so must a link to it.

    :param project: the project's directory, or the single file.
    """
    try:
        named, meant, owner = file.lstat(), file.stat(), project.stat().st_uid
    except OSError:
        return False
    return stat.S_ISREG(meant.st_mode) and {named.st_uid, meant.st_uid} <= {os.geteuid(), 0, owner}


def foreign(file: Path, project: Path) -> bool:
    """Whether something is there, and somebody else's."""
    return os.path.lexists(file) and file.lstat().st_uid not in {os.geteuid(), 0, project.stat().st_uid}
