"""Building an environment aside: a copy of the source, a venv beside it, and a rename at the end."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar import __version__
from nectar.errors import EnvironmentFailedError
from nectar.manage import configuration, installed, layout, python, stale
from nectar.manage.locking import held, is_free
from nectar.manage.single_file import MANIFEST, SNAPSHOT
from nectar.manage.uv import Uv, filtered, find_uv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.plan import Plan
    from nectar.manage.source import Source
    from nectar.manage.uv import Outcome

MARKER = "nectar.json"
"""Written last: an environment without it is none."""
ASIDE = ".build-"
_MISMATCH = "needs to be updated, but `--locked` was provided"


class LockMismatchError(EnvironmentFailedError):
    """The lock is not that of the project."""


@dataclass
class Workshop:
    """A place to build in, which is gone afterwards, and the uv that works in it."""

    source: Source
    directory: Path
    log: Path
    uv: Uv
    downloads: bool
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
            layout.fence(self.directory, plan.configured_above)
            self.tree.mkdir()
            self._copied = plan.copy(self.tree)
        elif plan.has_lock:
            (self.tree / plan.lock).write_bytes(plan.pieces[plan.lock].read())
            self._copied = {**self._copied, "lock": plan.digests()["lock"]}
        return self._copied

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
        text = outcome.errors.strip().replace(str(self.tree), str(self.source.directory))
        return "\n".join(text.splitlines()[-80:])


@contextmanager
def workshop(home: Home, source: Source, environ: Mapping[str, str], report: Callable[[str], None]) -> Iterator[Workshop]:
    """A workshop in the data dir. What killed ones left is swept first.

    :raises EnvironmentFailedError: there is no uv, or the disk does not take it.
    """
    binary = find_uv()
    log = home.builds / f"{source.name}.log"
    sweep(home)
    kept = filtered(environ)
    above = configuration.above(source.path)
    downloads = source.downloads or configuration.downloads_pythons(environ, above=above)
    if source.downloads:
        kept["UV_PYTHON_DOWNLOADS"] = "automatic"
    elif not downloads:
        kept["UV_PYTHON_DOWNLOADS"] = "never"
    if source.offline:
        kept["UV_OFFLINE"] = "1"
    try:
        directory = Path(tempfile.mkdtemp(prefix=ASIDE, dir=home.envs))
        with held(directory / "lock") as descriptor:
            uv = Uv(binary, kept, report, _writer(log), held=(descriptor,))
            try:
                yield Workshop(source, directory, log, uv, downloads and kept.get("UV_PYTHON_DOWNLOADS") != "never")
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    except OSError as error:
        raise EnvironmentFailedError(
            f"The environment could not be built: {error.strerror or error}.",
            where=str(error.filename or home.envs),
            hint="nectar gc removes environments that nothing uses." if error.errno == 28 else None,
        ) from error


def sweep(home: Home) -> list[Path]:
    """Remove what builds that were killed have left; one that lives (or whose uv does) holds its lock."""
    swept = []
    for directory in home.envs.glob(f"{ASIDE}*"):
        if is_free(directory / "lock") and _age(directory) > 5:
            shutil.rmtree(directory, ignore_errors=True)
            swept.append(directory)
    return swept


def _age(path: Path) -> float:
    """Seconds since a directory changed; a build that begins takes its lock within the first."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0


def _writer(log: Path) -> Callable[[str], None]:
    fresh = True

    def write(line: str) -> None:
        nonlocal fresh
        with log.open("w" if fresh else "a", encoding="utf-8", errors="replace") as stream:
            stream.write(line + "\n")
        fresh = False

    return write


def platform() -> str:
    """What else the content of an environment depends on."""
    return f"{sys.platform} {os.uname().machine}"


def build(home: Home, plan: Plan, shop: Workshop, key: str, digests: dict[str, str]) -> bool:
    """Build the environment of a plan, under a lock on its key, and put it in its place.

    :returns: False where the source is no longer what the key was made of.
    :raises EnvironmentFailedError: it cannot be built.
    """
    copied = shop.copy(plan)
    if any(digests[part] != digest for part, digest in copied.items()):
        shop.clear()
        return False
    _install(plan, shop)
    marker = _inspect(plan, shop)
    target = home.envs / key
    if target.exists():  # without a marker, or with a Python that has vanished
        old = Path(tempfile.mkdtemp(prefix=ASIDE, dir=home.envs))
        target.rename(old / "old")
        shutil.rmtree(old, ignore_errors=True)
    shop.venv.rename(target)
    base = os.path.realpath(target / "bin" / "python")
    marker |= {"schema": 1, "key": key, "digests": digests, "base_python": base, "settings": shop.source.settings.to_mapping()}
    marker |= {"source": shop.source.shown, "created": time.time(), "nectar": __version__}
    aside = target / f".{MARKER}"
    with aside.open("w", encoding="utf-8") as stream:
        json.dump(marker, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(target / MARKER)
    return True


def _install(plan: Plan, shop: Workshop) -> None:
    made = shop.uv.run("venv", "--no-project", "--relocatable", "--python", shop.interpreter(plan), shop.venv, quiet=True)
    if made.code:
        raise shop.failure("uv could not make the virtual environment.", made)
    python.check(installed.version_of(shop.venv), plan.python)
    refresh = [item for name in plan.locals_ for item in ("--refresh-package", name)]
    arguments = ["sync", "--locked", "--no-default-groups", "--no-editable", *refresh]
    outcome = _sync(plan, shop, arguments)
    if outcome.code == 0 and stale.installed(shop.venv, shop.tree, plan.locals_):
        outcome = _sync(plan, shop, [*arguments, "--no-cache", *(i for name in plan.locals_ for i in ("--reinstall-package", name))])
    if outcome.code == 0:
        return
    if _MISMATCH in outcome.errors:
        directory = shop.source.directory
        raise LockMismatchError(
            "The lock does not match the project.",
            where=str(directory / "uv.lock") if not plan.outside else plan.outside,
            hint=f"uv lock --project {_quoted(directory)}",
            detail=shop.words(outcome),
        )
    raise shop.failure("The environment could not be built.", outcome)


def _sync(plan: Plan, shop: Workshop, arguments: list[str]) -> Outcome:
    return shop.uv.run(
        *arguments,
        "--project",
        shop.tree / plan.project,
        "--python",
        shop.venv / "bin" / "python",
        variables={"UV_PROJECT_ENVIRONMENT": str(shop.venv)},
    )


def _inspect(plan: Plan, shop: Workshop) -> dict[str, Any]:
    """Check the venv and say what is in it."""
    found = installed.distributions(shop.venv)
    broken = list(installed.mismatches(shop.venv, found, content=False))
    if broken:
        raise EnvironmentFailedError(
            "What uv installed is not what the distributions' records say: " + "; ".join(broken[:3]) + ".",
            where=f"the whole log is {shop.log}",
            hint=f"A damaged copy may lie in uv's cache: uv cache clean {broken[0].split(':')[0]}",
        )
    installed.refuse_ours(found)
    own = next((each for each in found if each.name == plan.distribution), None)
    entries = installed.entries(found, plan.distribution)
    if own is None or not entries:
        raise EnvironmentFailedError(
            f"{plan.distribution} was installed without an entry point in the group nectar.handlers."
            if own
            else f"{plan.distribution} was not installed.",
            where=str(shop.source.shown),
            hint="Declare the handler under [project.entry-points.\"nectar.handlers\"], and a [build-system].",
        )
    if shop.source.kind != "file":  # whose module is in the snapshot
        installed.refuse_lost_entries(shop.venv, entries)
    manifest = installed.site_packages(shop.venv) / SNAPSHOT / MANIFEST
    return {
        "python_version": installed.version_of(shop.venv),
        "distribution": f"{own.name} {own.version}",
        "entries": entries,
        "plugins": installed.plugins(found),
        "distributions": [[each.name, each.version] for each in found],
        "snapshot": str(manifest.relative_to(shop.venv)) if shop.source.kind == "file" else None,
    }


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
