"""Where environments are built: a directory aside in the data dir, and the uv that works in it."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from nectar import ownership
from nectar.errors import EnvironmentFailedError, UsageError
from nectar.locks import Busy, hold, is_free
from nectar.manage.files.removing import remove_tree
from nectar.manage.tree.pieces import rewrite
from nectar.manage.uv import configuration, interpreters, logins, passing
from nectar.manage.uv.uv import Uv, find_uv, select_variables, with_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.source.plan import Plan
    from nectar.manage.source.source import Source
    from nectar.manage.tree.assembly import Seen
    from nectar.manage.uv.uv import Outcome
    from nectar.manage.wheels.builder import Builder

ASIDE = ".build-"
SETTINGS = "settings.toml"
_SWEEPING = "workshops"
_SETTLED = 60
"""Seconds after which a workshop without a lock is none that is just being made."""
_TALK = ("Using CPython", "Resolved ", "Creating virtual environment", "Activate with")


@dataclass
class Workshop:
    """A place to build in, which is gone afterwards, and the uv that works in it.

    :ivar tree: the copy of the source.
    :ivar venv: the environment, until it is in its place.
    :ivar walled: whether what others say runs for a build runs behind a wall.
    :ivar builder: builds so, once there is something to build.
    :ivar left_out: what of the source is not in the tree, as lines that were reported; an error of the build repeats them.
    """

    home: Home
    source: Source
    directory: Path
    tree: Path
    venv: Path
    log: Path
    uv: Uv
    downloads: bool
    environ: Mapping[str, str]
    walled: bool = False
    builder: Builder | None = None
    left_out: list[str] = field(default_factory=list)
    _python: str | None = None
    _copied: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def by_wheels(self) -> bool:
        """Whether nothing that others say may run, but behind a wall: everything is installed from wheels then."""
        return self.walled or self.source.no_build

    @property
    def wheels(self) -> Path:
        """Where what is built behind a wall is built."""
        return self.directory / "wheels"

    def choose_python(self, plan: Plan) -> str:
        """What to give uv as ``--python``; uv is asked once."""
        if self._python is None:
            self._python = interpreters.choose(self.uv, plan.asked.python, downloads=self.downloads)
        return self._python

    def copy(self, plan: Plan) -> Mapping[str, Seen]:
        """Have the plan's files in the tree, and say what is there."""
        if not self._copied:
            # An empty workspace above the tree: uv looks no further up.
            (self.directory / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n", encoding="utf-8")
            self.tree.mkdir(mode=0o700)
            self._tell(plan.tree.left_out)
            self._copied = plan.copy(self.tree)
            self._settle(plan)
        elif plan.has_lock:
            rewrite(self.tree, plan.locking.place, plan.tree.pieces[plan.locking.place].read())
            self._copied = plan.see_lock(self._copied)
        return self._copied

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            if line not in self.left_out:
                self.left_out.append(line)
                self.uv.report(line)

    def _settle(self, plan: Plan) -> None:
        """Write the one file of settings that uv gets for a plan whose files are in the tree."""
        elsewhere = plan.asked.settings
        own = elsewhere or configuration.find_own((self.tree / plan.locking.place).parent)
        projects = [self.tree / name for name in plan.tree.pieces if name.rsplit("/", 1)[-1] == "pyproject.toml"]
        composed = configuration.compose(self.environ, own, near=None if elsewhere else self.directory, beside=projects)
        settings = self.directory / SETTINGS
        settings.touch(0o600)
        settings.write_bytes(composed.content)
        self._tell(tell_dropped(composed.dropped, elsewhere or self.source.path))

    def clear(self) -> None:
        """Take all of it away, to begin anew."""
        for path in (self.tree, self.venv, self.wheels):
            remove_tree(path)
        self.builder = None
        self._copied = {}

    def failure(self, message: str, outcome: Outcome, hint: str | None = None) -> EnvironmentFailedError:
        """An error with uv's own words."""
        words = self.words(outcome)
        hint = hint or passing.explain_withheld(words, self.environ, {*self.uv.variables, *self.source.build_env})
        return EnvironmentFailedError(message, where=f"{self.source.shown} (the whole log is {self.log})", hint=hint, detail=words)

    def words(self, outcome: Outcome) -> str:
        """What uv said, with the author's paths in place of the copies'."""
        text = _with_own_paths(outcome.errors.strip(), self.tree, self.source.directory)
        lines = [line for line in text.splitlines() if not line.startswith(_TALK)]
        return "\n".join(lines[-80:])


@contextmanager
def repeat(lines: Iterable[str]) -> Iterator[None]:
    """Have an error of the build say what was left out, which may be its reason.

    :param lines: as they are at its end.
    """
    try:
        yield
    except EnvironmentFailedError as error:
        error.detail = "\n".join([*filter(None, [error.detail]), *dict.fromkeys(lines)]) or None
        raise


def _with_own_paths(text: str, tree: Path, own: Path) -> str:
    spellings = [str(tree), quote(str(tree))]
    with suppress(OSError):  # uv shortens what lies below the current directory
        spellings += [os.path.relpath(tree)] if tree.is_relative_to(Path.cwd()) else []
    for spelled in spellings:
        text = text.replace(spelled, str(own))
    return text


@contextmanager
def open_workshop(
    home: Home, source: Source, environ: Mapping[str, str], report: Callable[[str], None], *, walled: bool = False
) -> Iterator[Workshop]:
    """A workshop in the data dir. What killed ones left is swept first.

    :raises EnvironmentFailedError: there is no uv, or the disk does not take it.
    """
    binary, own, log = find_uv(), source.directory, home.build_log(source.name)
    alone = walled or source.no_build
    named = source.build_env
    variables, downloads = _variables(home, environ, named, downloads=source.downloads, report=report, alone=alone)
    if source.offline:
        variables["UV_OFFLINE"] = "1"
    # A copy is a clone where the file system can clone, and "clone" falls back to hard links where it cannot. What shares a file with
    # uv's cache shares it with every other environment, and whoever edits one of them edits them all.
    variables["UV_LINK_MODE"] = "copy"
    try:
        with _directory(home) as (directory, lock):
            tree = directory / "tree"
            uv = Uv(
                binary,
                variables,
                lambda line: report(_with_own_paths(line, tree, own)),
                _writer(log),
                held=(lock,),
                settings=directory / SETTINGS,
            )
            uv = replace(uv, variables={**variables, **_login(uv, source, directory)})
            shop = Workshop(home, source, directory, tree, directory / "venv", log, uv, downloads, environ, walled)
            with repeat(shop.left_out):
                yield shop
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EnvironmentFailedError(
            f"The environment could not be built: {error.strerror or error}.",
            where=str(error.filename or home.envs),
            hint="nectar gc removes environments that nothing uses." if full else None,
        ) from error


@contextmanager
def _directory(home: Home) -> Iterator[tuple[Path, int]]:
    """A new directory, and the descriptor of the lock on it; both go."""
    with ExitStack() as stack:
        # Nobody sweeps between the directory's making and its lock.
        with hold(home.env_locks / _SWEEPING):
            _remove_abandoned(home)
            directory = Path(tempfile.mkdtemp(prefix=ASIDE, dir=home.envs))
            descriptor = stack.enter_context(hold(directory / "lock"))
        try:
            yield directory, descriptor
        finally:
            remove_tree(directory)


@contextmanager
def open_in_place(
    home: Home, root: Path, report: Callable[[str], None], environ: Mapping[str, str], *, build_env: Iterable[str]
) -> Iterator[Uv]:
    """A uv for an author's own tree: settings count as for a build, and what it makes there is open to whom the author says.

    :param root: the directory of the project, or of the workspace that it is in.
    """
    binary = find_uv()
    variables, _ = _variables(home, environ, build_env, downloads=False, report=report)
    own = configuration.find_own(root) or configuration.find_above(root)
    with tempfile.TemporaryDirectory(prefix="nectar-") as aside:
        settings = Path(aside).resolve() / SETTINGS
        composed = configuration.compose(environ, own, near=settings.parent, beside=[root / "pyproject.toml"])
        for line in tell_dropped(composed.dropped, own or root):
            report(line)
        settings.write_bytes(composed.content)
        yield Uv(binary, variables, report, lambda _line: None, settings=settings, umask=-1)


def _variables(
    home: Home,
    environ: Mapping[str, str],
    named: Iterable[str],
    *,
    downloads: bool,
    report: Callable[[str], None],
    alone: bool = False,
) -> tuple[dict[str, str], bool]:
    """What uv gets of an environment, and whether it may fetch a Python.

    :param named: what builds get besides what all get.
    :param downloads: whether it was told to in any case.
    :param alone: whether it runs no builds, and what these get is not for it.
    """
    for name in named:
        if name not in environ:
            report(f"This shell has no {name}, which builds were to get.")
    kept = passing.hide_proxies(select_variables(environ)) if alone else select_variables(environ, named)
    if configuration.read_setting("cache-dir", environ) is None:
        kept = with_cache(kept, home.uv_cache)
    wish = str(kept.get("UV_PYTHON_DOWNLOADS") or configuration.read_setting("python-downloads", environ) or "never").lower()
    kept["UV_PYTHON_DOWNLOADS"] = "automatic" if downloads else wish
    return kept, downloads or wish not in ("never", "manual", "false")


def tell_dropped(dropped: list[str], where: Path) -> Iterator[str]:
    """Lines about settings that do not count."""
    if dropped:
        names, them = ", ".join(dropped), "It decides" if len(dropped) == 1 else "They decide"
        yield (
            f"Not used: {names} of [tool.uv] ({where}). {them} what runs on this machine or is written to it, which is its operator's"
            " to say: in ~/.config/uv/uv.toml, or in uv's variables."
        )


def _login(uv: Uv, source: Source, directory: Path) -> dict[str, str]:
    """Have uv find the login of a requirement; the variables that say where.

    :raises UsageError: it has one, and that is not kept.
    """
    requirement = source.requirement or ""
    if not logins.has_one(requirement):
        return {}
    if source.login is None:
        raise UsageError(
            "The login for this requirement is not kept.", where=requirement, hint=f"Launch it with the login for {logins.HIDDEN}."
        )
    others = Path(uv.bare().run("auth", "dir", quiet=True).output.strip() or os.devnull)
    return logins.hand_to_uv(requirement, source.login, directory, others, uv.variables)


def sweep(home: Home) -> list[Path]:
    """Remove what builds that were killed have left; one that lives, or whose uv does, holds its lock."""
    with hold(home.env_locks / _SWEEPING):
        return _remove_abandoned(home)


def _remove_abandoned(home: Home) -> list[Path]:
    swept = []
    for directory in find_abandoned(home):
        with suppress(Busy), hold(directory / "lock", wait=False):
            remove_tree(directory)
            swept.append(directory)
    return swept


def find_abandoned(home: Home) -> list[Path]:
    """The workshops that nobody works in."""
    found = sorted(home.envs.glob(f"{ASIDE}*"))
    return [
        each
        for each in found
        if not each.is_symlink() and ((each / "lock").exists() or _age(each) > _SETTLED) and is_free(each / "lock")
    ]


def _age(path: Path) -> float:
    """Seconds since a directory changed."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0


def _writer(log: Path) -> Callable[[str], None]:
    fresh = True

    def write(line: str) -> None:
        nonlocal fresh
        with open(log, "w" if fresh else "a", encoding="utf-8", errors="replace", opener=ownership.opener) as stream:
            stream.write(line + "\n")
        fresh = False

    return write
