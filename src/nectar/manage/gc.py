"""Removing what no handler uses: environments, nectar's own side for them, kept resolutions, and what killed builds left."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nectar import proc
from nectar.errors import NectarError
from nectar.locks import Busy, hold
from nectar.manage.dev import is_developed
from nectar.manage.environment import trials
from nectar.manage.environment.build_directory import ASIDE, find_abandoned
from nectar.manage.environment.generations import key_of
from nectar.manage.environment.marker import is_newer
from nectar.manage.files.removing import remove_tree
from nectar.manage.files.writing import place_aside
from nectar.manage.handlers import keeping, registry
from nectar.manage.tree import contents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nectar.home import Home
    from nectar.manage.source.source import Source

_KEPT_RESOLUTION = 365 * 86400
"""Seconds since a resolution was made or used, before it goes."""
_KEPT_DIGESTS = 86400
"""The same of what is remembered of the files of a source that no handler was launched from, since that changed."""


@dataclass(frozen=True)
class Unused:
    """One thing that nothing uses.

    :ivar size: bytes on disk. Of an environment that 0.1.0 made, files may be linked from uv's cache, and free nothing until that is pruned too.
    """

    kind: Literal["environment", "runtime", "resolution", "build", "digests"]
    path: Path
    size: int


def find_unused(home: Home) -> list[Unused]:
    """What could be removed now. Whatever a record names, or a process of this user runs from, is used."""
    records = _records(home)
    running = _running()
    found: list[Unused] = []
    # What a newer version made, that one knows the users of.
    finished = [each for each in _directories(home.envs) if not each.name.startswith(ASIDE) and each.name not in records]
    finished = [each for each in finished if not is_newer(each)]
    found += [Unused("environment", each, measure(each)) for each in finished if not _runs_from(each, running)]
    found += [Unused("build", each, measure(each)) for each in find_abandoned(home)]
    runtimes = [
        each
        for each in _directories(home.runtimes)
        if not _runs_from(each, running) and not _is_new(each) and not is_developed(each)
    ]
    found += [Unused("runtime", each, measure(each)) for each in runtimes]
    for each in home.resolutions.glob("*.lock"):
        with suppress(FileNotFoundError):  # another gc was faster
            status = each.stat()
            if time.time() - status.st_mtime > _KEPT_RESOLUTION:
                found.append(Unused("resolution", each, status.st_size))
    used = {contents.place(home, str(record.source.get("path"))) for record in registry.read(home).values()}
    for each in home.digests.glob("*.json"):
        with suppress(FileNotFoundError):
            status = each.stat()
            if each not in used and time.time() - status.st_mtime > _KEPT_DIGESTS:
                found.append(Unused("digests", each, status.st_size))
    return found


def collect(home: Home) -> list[Unused]:
    """Remove it, and return what was removed. What is being built or launched at this moment stays."""
    keeping.sweep(home)
    removed = [each for each in find_unused(home) if _remove(home, each)]
    for mark in home.trials.glob("*"):
        with suppress(Busy), hold(home.env_locks / key_of(mark.name), wait=False):
            if not (home.envs / mark.name).exists():  # whoever was to build it was killed
                mark.unlink(missing_ok=True)
    for lock in [*home.resolutions.glob("*.guard"), *home.digests.glob("*.guard"), *home.env_locks.glob("*")]:
        with suppress(Busy), hold(lock, wait=False):
            for kept in (lock.with_suffix(".lock"), lock.with_suffix(".json")):
                place_aside(kept).unlink(missing_ok=True)  # left of who was killed while writing
            lock.unlink(missing_ok=True)  # whoever waits for it takes a new one
    return removed


def drop_trials(home: Home, source: Source, *, but: str, before: float) -> None:
    """Remove what earlier trials of a source have built, and nothing uses; where that cannot be told, nothing.

    :param but: the name of the environment that this trial has used.
    :param before: Unix seconds: what trials have used since then is theirs.
    """
    with suppress(NectarError, OSError):
        for name in trials.find_earlier(home, source, before=before):
            if name != but and not is_newer(home.envs / name):
                _remove(home, Unused("environment", home.envs / name, 0))


def _remove(home: Home, each: Unused) -> bool:
    if each.kind in ("resolution", "digests"):
        each.path.unlink(missing_ok=True)
        return True
    with ExitStack() as stack:
        wanted = {
            "environment": [home.env_locks / key_of(each.path.name), home.env_locks / f"{each.path.name}.use"],
            "build": [each.path / "lock"],
        }.get(each.kind, [])
        try:
            for lock in wanted:
                stack.enter_context(hold(lock, wait=False))
        except Busy:
            return False
        # It is a while since it was found: what uses it may have come meanwhile.
        if each.kind == "environment" and each.path.name in _records(home):
            return False
        if each.kind == "runtime" and (_is_new(each.path) or is_developed(each.path)):
            return False
        if each.kind != "build" and _runs_from(each.path, _running()):
            return False
        if each.kind == "environment":
            trials.forget(home, each.path.name)
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=each.path.parent))
        try:
            each.path.rename(aside / "old")  # at once, so that none of it is ever half there
        except FileNotFoundError:  # another gc was faster
            return False
        finally:
            remove_tree(aside)
        for lock in wanted:
            lock.unlink(missing_ok=True)  # whoever waits for it takes a new one
    return True


def measure(path: Path) -> int:
    """Bytes on disk of a directory, each file once."""
    seen: dict[int, int] = {}
    if path.is_symlink():  # which goes, and not what it leads to
        return 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                found = os.lstat(os.path.join(directory, name))
            except OSError:
                continue
            seen[found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def _directories(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and each.name != ".locks") if path.is_dir() else []


def _is_new(path: Path) -> bool:
    """Whether a runtime was wanted a moment ago, by a command that has started nothing yet."""
    try:
        return time.time() - path.stat().st_mtime < 120
    except FileNotFoundError:  # another gc was faster
        return True


def _records(home: Home) -> set[str]:
    """The keys of the environments that records name.

    :raises NectarError: the registry, or a record in it, cannot be read; then nothing is known to be unused.
    """
    records = registry.read(home)
    for name, record in records.items():
        if record.is_newer:
            raise registry.newer(home, name)
    return {record.environment for record in records.values()}


def _runs_from(path: Path, running: Sequence[str]) -> bool:
    """Whether a process runs from a directory, by whichever path it calls it. One of the same name and content may stand in another data dir."""
    name = f"{os.sep}{path.name}{os.sep}"
    return any(not _is_elsewhere(each.partition(name)[0] + name, path) for each in running if name in each)


def _is_elsewhere(spelled: str, path: Path) -> bool:
    try:
        return not os.path.samefile(spelled, path)
    except OSError:  # a part of a path, or one as another namespace has it
        return False


def _running() -> list[str]:
    """The words of the command lines and variables of all processes that can be seen: in the ones or the others stands what one runs from.

    :raises NectarError: none can be seen.
    """
    lines = proc.read_lines()
    if lines is not None:
        return [word for line in lines for word in re.split("[\0:=]", line)]
    command = ["ps", "-Eaxww", "-o", "command="]  # as macOS has it
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        raise NectarError("Nothing is known to be unused: nobody here tells what runs.", where=" ".join(command)) from None
