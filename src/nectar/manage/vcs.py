"""Projects whose version comes from git: their copy gets a repository of its own, made from theirs without touching it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.manage import git
from nectar.manage.project import list_of_text

if TYPE_CHECKING:
    from nectar.manage.project import Project

_BY_GIT = re.compile(
    r"(setuptools[-_.]scm|setuptools[-_.]git|hatch[-_.]vcs|versioningit|dunamai|dynamic[-_.]versioning|vcs[-_.]versioning)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Checkout:
    """A working copy of git's.

    :ivar top: the directory with ``.git``.
    :ivar common: the repository itself.
    """

    top: Path
    common: Path
    head: str

    def describe(self) -> list[str]:
        """The commit, the tags that lead to it, and whether something is not committed: what a version is made of."""
        described = git.ask(self.top, "describe", "--tags", "--long", "--always")
        # Not `describe --dirty`, which writes the index.
        changed = git.ask(self.top, "status", "--porcelain", "--untracked-files=no")
        return [f"git {self.head} {described}{' and changes' if changed else ''}"]

    def reproduce(self, copy: Path) -> None:
        """Make a copy of the files a working copy at the same commit, in which files that were not copied do not count as missing."""
        repository = copy / ".git"
        if git.ask(copy, "init", "--quiet", ".") is None:
            return
        (repository / "objects" / "info" / "alternates").write_text(f"{self.common / 'objects'}\n", encoding="utf-8")
        if (self.common / "shallow").exists():
            shutil.copy(self.common / "shallow", repository / "shallow")
        refs = git.ask(self.top, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags") or ""
        packed = "".join(f"{line}\n" for line in sorted(refs.splitlines(), key=lambda line: line.split(" ", 1)[1]))
        (repository / "packed-refs").write_text(packed, encoding="utf-8")
        branch = git.ask(self.top, "symbolic-ref", "--quiet", "HEAD")
        if branch and branch.startswith("refs/heads/"):
            (repository / "HEAD").write_text(f"ref: {branch}\n", encoding="utf-8")
            (repository / branch).parent.mkdir(parents=True, exist_ok=True)
            (repository / branch).write_text(f"{self.head}\n", encoding="utf-8")
        else:
            (repository / "HEAD").write_text(f"{self.head}\n", encoding="utf-8")
        git.ask(copy, "read-tree", "HEAD")
        missing = (git.ask(copy, "ls-files", "-z", "--deleted") or "").split("\0")
        git.ask(copy, "update-index", "-z", "--skip-worktree", "--stdin", given="\0".join(name for name in missing if name))
        with (repository / "info" / "exclude").open("a", encoding="utf-8") as stream:
            stream.write("uv.lock\n")


def names_version(project: Project) -> bool:
    """Whether a project's version comes from git, so that it cannot be built without."""
    requires = list_of_text(project.section("build-system").get("requires"))
    return "version" in project.dynamic and any(_BY_GIT.search(each) for each in requires)


def checkout(project: Project) -> Checkout | None:
    """The working copy that a project is in, with at least one commit."""
    found = git.ask(project.directory, "rev-parse", "--show-toplevel", "--path-format=absolute", "--git-common-dir", "HEAD")
    lines = (found or "").splitlines()
    return Checkout(Path(lines[0]), Path(lines[1]), lines[2]) if len(lines) == 3 else None
