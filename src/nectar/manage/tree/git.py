"""The only caller of git: which repository counts, what git gets of the caller's shell, and what it is asked.

A repository is somebody else's, and its configuration names programs: filters, monitors, hooks, helpers. Hence nothing is asked that
compares or shows content, which is when git runs them, and nothing is fetched. Which repository it is, is found here and told to git:
git itself would take a directory of plain files for one, and refuses one of another account.
"""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar import features
from nectar.errors import EnvironmentFailedError
from nectar.manage.files.authored import CODE, LINE, read_bytes
from nectar.manage.files.strangers import is_planted, list_owners
from nectar.manage.tree.pieces import is_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED = ("HOME", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What git gets of the shell beside its ``PATH``: where the user's own settings are, and what it may need to start at all."""
_FIXED = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",  # the index is not written
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",  # what older versions fetch nevertheless fails
}
_FORCED = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.untrackedCache": "false",
    "protocol.allow": "never",
    "init.defaultRefFormat": "files",
    "init.defaultObjectFormat": "sha1",
}
_SECONDS = 60
_MEMORY = 4 * 1024**3
"""Bytes that git may allocate (Linux)."""


class Repository(NamedTuple):
    """A working copy of git's.

    :ivar top: the directory with ``.git``.
    :ivar directory: what is ``.git``, or what that leads to.
    """

    top: Path
    directory: Path

    @property
    def common(self) -> Path:
        """Where objects and tags are: for a further working tree, in the main one's repository."""
        led = _content(self.directory / "commondir", LINE)
        return self.directory if led is None else _led(self.directory, led)

    def names(self, directory: Path) -> tuple[list[str], list[str]]:
        """What lies in a directory of the working copy: the tracked files, and those that are neither tracked nor ignored.

        :raises EnvironmentFailedError: git cannot say.
        """
        listed = self._ask("ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard", within=directory) or ""
        tracked: list[str] = []
        others: list[str] = []
        for entry in filter(None, listed.split("\0")):
            mark, name = entry[0], entry[2:].rstrip("/")
            if is_name(name):
                (others if mark == "?" else tracked).append(name)
        return tracked, others

    def ignored(self, directory: Path, patterns: list[str]) -> list[str]:
        """The ignored files in a directory of the working copy that match patterns, or lie below what does.

        :raises EnvironmentFailedError: git cannot say.
        """
        wanted = [f":(glob){pattern}{below}" for pattern in patterns for below in ("", "/**")]
        command = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *wanted)
        listed = self._ask(*command, within=directory) or ""
        return [name for name in listed.split("\0") if is_name(name)]

    def head(self) -> str | None:
        """The commit, None before the first."""
        return self._ask("rev-parse", "--verify", "--quiet", "HEAD", absent=1)

    def branch(self) -> str | None:
        """The full name of the branch, None where a commit was checked out."""
        found = self._ask("symbolic-ref", "--quiet", "HEAD", absent=1)
        return found if found and found.startswith("refs/heads/") and is_name(found) else None

    def described(self) -> str | None:
        """The commit by the tags that lead to it."""
        return self._ask("describe", "--tags", "--long", "--always")

    def tags(self) -> list[str]:
        """The tags, as ``object name``, sorted by name."""
        listed = self._ask("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags") or ""
        return sorted(listed.splitlines(), key=lambda line: line.split(" ", 1)[1])

    def shallow(self) -> bytes | None:
        """Where history ends in a shallow clone."""
        return _content(self.common / "shallow", CODE)

    def fill(self) -> None:
        """Have the index as the commit is, without the files that are not there."""
        self._ask("read-tree", "HEAD")
        missing = self._ask("ls-files", "-z", "--deleted") or ""
        self._ask("update-index", "-z", "--skip-worktree", "--stdin", given=missing)

    def pack_history(self, into: Path) -> None:
        """Write what a version is made of as a pack: commits, tags, and the names that the commit has, and no file's content.

        :param into: the directory of another repository's packs.
        :raises EnvironmentFailedError: git cannot.
        """
        listed = self._ask("rev-list", "--objects", "--filter=tree:0", "--tags", "HEAD") or ""
        names = (self._ask("ls-tree", "-r", "-t", "-z", "HEAD") or "").split("\0")
        trees = [name.split(maxsplit=3)[2] for name in names if name.split(maxsplit=2)[1:2] == ["tree"]]
        wanted = [*(line.split(" ")[0] for line in listed.splitlines()), self._ask("rev-parse", "HEAD^{tree}") or "", *trees]
        into.mkdir(exist_ok=True)
        self._ask("pack-objects", "-q", str(into / "pack"), given="".join(f"{each}\n" for each in dict.fromkeys(wanted)))

    def _ask(self, *arguments: str, within: Path | None = None, given: str = "", absent: int = 0) -> str | None:
        """What git says.

        :param absent: an exit code that means None.
        :raises EnvironmentFailedError: it fails, with its own words.
        """
        where = {"GIT_DIR": str(self.directory), "GIT_WORK_TREE": str(self.top)}
        code, output, errors = _run("-C", str(within or self.top), *arguments, top=self.top, more=where, given=given)
        if code == 0:
            return output.strip("\n")
        if code == absent:
            return None
        raise _failed(self.top, f"git {arguments[0]} fails with exit code {code}", detail=errors)


def find(directory: Path) -> Repository | None:
    """The working copy that a directory is in.

    Nothing but a ``.git`` makes one, and only of this user, root, or the owner of the directory.

    :raises EnvironmentFailedError: it is somebody else's, or cannot be used.
    """
    directory = directory.resolve()
    device = directory.stat().st_dev
    for top in (directory, *directory.parents):
        if top.stat().st_dev != device:
            return None
        if top != directory and is_planted(top / ".git", directory):
            continue
        try:
            found = _open(top)
        except OSError as error:
            raise _failed(top, "it cannot be read", detail=error.strerror or str(error)) from None
        if found is None:
            continue
        repository, whose = found
        strangers = whose - list_owners(directory)
        if strangers:
            raise _failed(top, f"it belongs to another user ({', '.join(map(str, sorted(strangers)))})")
        return repository
    return None


def create(top: Path, like: str | None) -> Repository:
    """Make a new repository that takes nothing from the user's template.

    :param like: a commit of the kind that it is to hold.
    :raises EnvironmentFailedError: git cannot.
    """
    kind = ["--object-format=sha256"] if like and len(like) == 64 else []
    made = Repository(top, top / ".git")
    arguments = ("init", "--quiet", "--template=", *kind, str(top))
    code, _, errors = _run(*arguments, top=top, more={})
    if code:
        raise _failed(top, f"git init fails with exit code {code}", detail=errors)
    for name in ("info", "objects/info"):
        (made.directory / name).mkdir(exist_ok=True)
    return made


def select_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What git gets of an environment. No ``GIT_…`` passes: they name other repositories, settings and programs."""
    # What is relative on PATH would be looked for in the project.
    path = [entry for entry in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(entry)]
    kept = {name: environ[name] for name in _PASSED if name in environ}
    return {**kept, "PATH": os.pathsep.join(path), **_FIXED}


def _open(top: Path) -> tuple[Repository, set[int]] | None:
    """The repository of a directory's ``.git``, and to whom it belongs; None where there is none.

    :raises OSError: it cannot be read.
    """
    place = top / ".git"
    try:
        directory = stat.S_ISDIR(place.stat().st_mode)
        if directory:
            (place / "HEAD").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if directory:
        found = Repository(top, place)
    else:
        led = read_bytes(place, LINE)
        if not led.startswith(b"gitdir: "):
            raise OSError(errno.EINVAL, "it does not name a repository", str(place))
        found = Repository(top, _led(top, led.removeprefix(b"gitdir: ")))
    whose = {place.lstat().st_uid, *(each.stat().st_uid for each in (place, found.directory, found.common))}
    return found, whose


def _led(base: Path, path: bytes) -> Path:
    """Where a path in a file of git's leads.

    :raises OSError: nowhere.
    """
    if b"\0" in path:
        raise OSError(errno.EINVAL, "it names no path", str(base))
    return Path(os.path.normpath(base / os.fsdecode(path.rstrip(b"\r\n"))))


def _content(path: Path, limit: int) -> bytes | None:
    """What is in a file; None where there is none.

    :raises OSError: it cannot be read, or is larger than the limit.
    """
    with suppress(FileNotFoundError):
        return read_bytes(path, limit)
    return None


def _run(*arguments: str, top: Path, more: Mapping[str, str], given: str = "") -> tuple[int, str, str]:
    """Run git to its end: exit code, output, and its words.

    :raises EnvironmentFailedError: there is none, or it takes too long.
    """
    import shutil  # which a source outside of git's repositories does without

    environ = {**select_variables(os.environ), **more}
    binary = shutil.which("git", path=environ["PATH"])
    if binary is None:
        raise _failed(top, "there is no git on PATH", hint="Install git")
    forced = [part for name, value in _FORCED.items() for part in ("-c", f"{name}={value}")]
    with subprocess.Popen(
        [binary, "--no-pager", *forced, *arguments],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        umask=0o077,
    ) as process:
        _limit_memory(process.pid)
        try:
            output, errors = process.communicate(os.fsencode(given), timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise _failed(top, f"git takes longer than {_SECONDS} s") from None
        except BaseException:
            process.kill()
            raise
    return process.returncode, os.fsdecode(output), errors.decode(errors="replace")


def _limit_memory(pid: int) -> None:
    """Bound what a file without end makes git read."""
    with suppress(OSError, ValueError):  # it has ended, or has less
        features.bound_data(pid, _MEMORY, _MEMORY)


def _failed(top: Path, why: str, *, detail: str | None = None, hint: str = "Mend it") -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"The git repository of the project does not tell what belongs to it: {why}.",
        where=str(top / ".git"),
        hint=f"{hint}, or copy the project elsewhere without its .git: then everything in it is taken, ignored files too.",
        detail=detail,
    )
