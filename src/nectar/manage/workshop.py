"""Where environments are built: a directory aside in the data dir, and the uv that works in it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from nectar import ownership
from nectar.errors import EnvironmentFailedError, UsageError
from nectar.manage import configuration, logins, python
from nectar.manage.locking import Busy, held, is_free
from nectar.manage.pieces import rewrite
from nectar.manage.uv import Uv, cached, filtered, find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.plan import Plan
    from nectar.manage.source import Source
    from nectar.manage.uv import Outcome

ASIDE = ".build-"
_SWEEPING = "workshops"
_SETTLED = 60
"""Seconds after which a workshop without a lock is none that is just being made."""
_TALK = ("Using CPython", "Resolved ", "Creating virtual environment", "Activate with")


@dataclass
class Workshop:
    """A place to build in, which is gone afterwards, and the uv that works in it.

    :ivar left_out: what of the source is not in the tree, as lines that were reported; an error of the build repeats them.
    """

    source: Source
    directory: Path
    log: Path
    uv: Uv
    downloads: bool
    left_out: list[str] = field(default_factory=list)
    _python: str | None = None
    _copied: dict[str, str] = field(default_factory=dict)

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    @property
    def venv(self) -> Path:
        return self.directory / "venv"

    def interpreter(self, plan: Plan) -> str:
        """What to give uv as ``--python``."""
        if self._python is None:
            self._python = python.choose(self.uv, plan.python, downloads=self.downloads)
        return self._python

    def copy(self, plan: Plan) -> dict[str, str]:
        """Have the plan's files in the tree, and return the digests of what is there."""
        if not self._copied:
            self._fence(plan)
            self.tree.mkdir(mode=0o700)
            self._tell_left_out(plan)
            self._copied = plan.copy(self.tree)
            if plan.configured_by and plan.configured_beside:
                rewrite(self.tree, f"{plan.project}/uv.toml".removeprefix("/"), configuration.moved(plan.configured_by))
        elif plan.has_lock:
            rewrite(self.tree, plan.lock, plan.pieces[plan.lock].read())
            self._copied = {**self._copied, "lock": plan.digests()["lock"]}
        return self._copied

    def _tell_left_out(self, plan: Plan) -> None:
        for line in plan.left_out:
            if line not in self.left_out:
                self.left_out.append(line)
                self.uv.report(line)

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """Have an error of the build say what was left out, which may be its reason."""
        try:
            yield
        except EnvironmentFailedError as error:
            error.detail = "\n".join([*filter(None, [error.detail]), *self.left_out]) or None
            raise

    def _fence(self, plan: Plan) -> None:
        """Put an empty workspace above the tree, so that uv looks no further up, and in it the settings that are above the project."""
        (self.directory / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n", encoding="utf-8")
        if plan.configured_by and not plan.configured_beside:
            (self.directory / "uv.toml").write_bytes(configuration.moved(plan.configured_by))

    def clear(self) -> None:
        """Take all of it away, to begin anew."""
        for path in (self.tree, self.venv):
            shutil.rmtree(path, ignore_errors=True)
        self._copied = {}

    def failure(self, message: str, outcome: Outcome, hint: str | None = None) -> EnvironmentFailedError:
        """An error with uv's own words."""
        return EnvironmentFailedError(message, where=f"the whole log is {self.log}", hint=hint, detail=self.words(outcome))

    def words(self, outcome: Outcome) -> str:
        """What uv said, with the author's paths in place of the copies'."""
        text = outcome.errors.strip()
        for spelled in (str(self.tree), quote(str(self.tree))):
            text = text.replace(spelled, str(self.source.directory))
        lines = [line for line in text.splitlines() if not line.startswith(_TALK)]
        return "\n".join(lines[-80:])


@contextmanager
def workshop(home: Home, source: Source, environ: Mapping[str, str], report: Callable[[str], None]) -> Iterator[Workshop]:
    """A workshop in the data dir. What killed ones left is swept first.

    :raises EnvironmentFailedError: there is no uv, or the disk does not take it.
    """
    binary = find_uv()
    log = home.builds / f"{source.name}.log"
    variables, downloads = _variables(home, source, environ)
    try:
        with ExitStack() as stack:
            # Nobody sweeps between the directory's making and its lock.
            with held(home.env_locks / _SWEEPING):
                _remove_abandoned(home)
                directory = Path(tempfile.mkdtemp(prefix=ASIDE, dir=home.envs))
                descriptor = stack.enter_context(held(directory / "lock"))

            def tell(line: str) -> None:
                for spelled in (str(directory / "tree"), quote(str(directory / "tree"))):
                    line = line.replace(spelled, str(source.directory))
                report(line)

            uv = Uv(binary, variables, tell, _writer(log), held=(descriptor,))
            try:
                uv = replace(uv, variables={**variables, **_login(uv, source, directory)})
                shop = Workshop(source, directory, log, uv, downloads)
                with shop.repeating():
                    yield shop
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise EnvironmentFailedError(
            f"The environment could not be built: {error.strerror or error}.",
            where=str(error.filename or home.envs),
            hint="nectar gc removes environments that nothing uses." if full else None,
        ) from error


def _variables(home: Home, source: Source, environ: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """What uv gets of an environment for this source, and whether it may fetch a Python."""
    kept = filtered(environ)
    if configuration.setting("cache-dir", environ, source.directory) is None:
        kept = cached(kept, home.uv_cache)
    wish = kept.get("UV_PYTHON_DOWNLOADS") or configuration.setting("python-downloads", environ, source.directory)
    downloads = source.downloads or (wish is not None and str(wish).lower() not in ("never", "manual", "false"))
    if source.downloads:
        kept["UV_PYTHON_DOWNLOADS"] = "automatic"
    elif wish is None:
        kept["UV_PYTHON_DOWNLOADS"] = "never"
    if source.offline:
        kept["UV_OFFLINE"] = "1"
    # A copy is a clone where the file system can clone, and "clone" falls back to hard links where it cannot. What shares a file with
    # uv's cache shares it with every other environment, and whoever edits one of them edits them all.
    kept["UV_LINK_MODE"] = "copy"
    return kept, downloads


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
    others = Path(uv.run("auth", "dir", quiet=True).output.strip() or os.devnull)
    return logins.to_uv(requirement, source.login, directory, others, uv.variables)


def sweep(home: Home) -> list[Path]:
    """Remove what builds that were killed have left; one that lives, or whose uv does, holds its lock."""
    with held(home.env_locks / _SWEEPING):
        return _remove_abandoned(home)


def _remove_abandoned(home: Home) -> list[Path]:
    swept = []
    for directory in abandoned(home):
        with suppress(Busy), held(directory / "lock", wait=False):
            shutil.rmtree(directory, ignore_errors=True)
            swept.append(directory)
    return swept


def abandoned(home: Home) -> list[Path]:
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
