"""Projects whose version comes from git: their copy gets a repository of its own, made from theirs without touching it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from nectar.manage.files.tables import list_of_text
from nectar.manage.tree import git

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.manage.source.pyproject import Project
    from nectar.manage.tree.git import Repository

_BY_GIT = (
    r"(?i)(setuptools[-_.]scm|setuptools[-_.]git|hatch[-_.]vcs|versioningit|dunamai|dynamic[-_.]versioning|vcs[-_.]versioning)"
)


class Checkout(NamedTuple):
    """A working copy of git's.

    :ivar head: its commit, None before the first.
    """

    repository: Repository
    head: str | None

    @property
    def top(self) -> Path:
        return self.repository.top

    def describe(self) -> list[str]:
        """The commit, and the tags that lead to it: what a version is made of, beside the files that are copied."""
        return [f"git {self.head} {self.repository.described()}"] if self.head else ["git"]

    def reproduce(self, copy: Path) -> None:
        """Make a copy of the files a working copy at the same commit, in which files that were not copied do not count as missing."""
        made = git.create(copy, self.head)
        place = made.directory
        (place / "objects" / "info" / "alternates").write_bytes(os.fsencode(self.repository.common / "objects") + b"\n")
        (place / "info" / "exclude").write_text("uv.lock\n", encoding="utf-8")
        shallow = self.repository.shallow()
        if shallow is not None:
            (place / "shallow").write_bytes(shallow)
        (place / "packed-refs").write_bytes(b"".join(os.fsencode(line) + b"\n" for line in self.repository.tags()))
        branch = self.repository.branch()
        if branch:
            (place / "HEAD").write_bytes(b"ref: " + os.fsencode(branch) + b"\n")
        if not self.head:
            return
        commit = place / (branch or "HEAD")
        commit.parent.mkdir(parents=True, exist_ok=True)
        commit.write_text(f"{self.head}\n", encoding="utf-8")
        made.fill()


def names_version(project: Project) -> bool:
    """Whether a project's version comes from git, so that it cannot be built without."""
    requires = list_of_text(project.section("build-system").get("requires"))
    return "version" in project.dynamic and any(re.search(_BY_GIT, each) for each in requires)


def open_checkout(project: Project) -> Checkout | None:
    """The working copy that a project is in.

    :raises EnvironmentFailedError: git cannot say.
    """
    found = git.find(project.directory)
    return Checkout(found, found.head()) if found else None
