"""The only caller of uv: where it is, how it is run, and how it is ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nectar import processes
from nectar.errors import EnvironmentFailedError
from nectar.home import find_user_home
from nectar.manage.uv import passing
from nectar.manage.uv.interpreters import make_search_path
from nectar.manage.uv.logins import redact
from nectar.manage.waits import wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PRIVATE = 0o077
"""The umask: what uv caches of a private source is nobody else's."""
_MOST = 16 * 1024 * 1024
"""Characters that are kept of what is said."""
_LINE = 64 * 1024
_GRACE = 5.0
"""Seconds that uv gets between the polite signal and the other."""


@dataclass(frozen=True)
class Outcome:
    """How a run of uv ended.

    :ivar errors: its words, without the logins in them.
    """

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Uv:
    """A uv, and the environment variables that it is run with.

    :ivar report: is given each line that uv says, as it says it.
    :ivar log: is given those too, and each command line.
    :ivar held: descriptors that go along: a lock in them outlives us for as long as uv does.
    :ivar settings: the one file of settings that it reads, or None for none at all.
    :ivar umask: -1 for the caller's.
    """

    binary: str
    variables: Mapping[str, str]
    report: Callable[[str], None]
    log: Callable[[str], None]
    held: tuple[int, ...] = ()
    settings: Path | None = None
    umask: int = PRIVATE

    def run(self, *arguments: str | Path, variables: Mapping[str, str] | None = None, quiet: bool = False) -> Outcome:
        """Run uv in a process group of its own, in the caller's directory (relative paths in its settings are relative to that).

        The group is ended when anything interrupts the wait.

        :param quiet: its words are kept to the outcome and the log.
        """
        settings = ["--no-config"] if self.settings is None else ["--config-file", str(self.settings)]
        command = [self.binary, *settings, *map(str, arguments)]
        return self.follow(
            command,
            f"uv {arguments[0]}",
            {**self.variables, **(variables or {})},
            held=self.held,
            directory=_directory(),
            quiet=quiet,
        )

    def follow(
        self,
        command: list[str],
        what: str,
        variables: Mapping[str, str],
        *,
        held: Iterable[int] = (),
        directory: str | None = None,
        quiet: bool = False,
    ) -> Outcome:
        """Run a program that builds, in the same way.

        :param what: it does, for who waits.
        """
        self.log(redact("$ " + " ".join(command)))
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=tuple(held),
            umask=self.umask,
        )
        try:
            with wait(what):
                return self._follow(process, quiet)
        except BaseException:
            processes.end_group(process, lambda: os.killpg(process.pid, signal.SIGTERM), seconds=_GRACE)
            with suppress(ProcessLookupError, PermissionError):  # the build backend, when it outlived uv
                os.killpg(process.pid, signal.SIGKILL)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
            raise

    def bare(self) -> Uv:
        """The same, without any settings but those in variables."""
        return replace(self, settings=None)

    def _follow(self, process: subprocess.Popen[str], quiet: bool) -> Outcome:
        import threading

        assert process.stdout is not None and process.stderr is not None
        output: list[str] = []
        reader = threading.Thread(target=lambda: output.append(_read(process.stdout)), daemon=True)
        reader.start()
        errors, left = [], _MOST
        while line := process.stderr.readline(_LINE):
            if left <= 0:
                continue
            left -= len(line)
            line = redact(line) if left > 0 else "… and more, which is left out."
            errors.append(line)
            self.log(line.rstrip("\n"))
            if not quiet:
                self.report(line.rstrip())
        code = process.wait()
        reader.join()
        process.stderr.close()
        process.stdout.close()
        return Outcome(code, "".join(output), "".join(errors))


def _read(stream: IO[str] | None) -> str:
    """A stream to its end, of which so much is kept."""
    assert stream is not None
    kept = stream.read(_MOST)
    while stream.read(_LINE):
        pass
    return kept


def _directory() -> str | None:
    """Where uv is run: where we are, except where that is not there any more, with which uv does nothing."""
    try:
        os.getcwd()
    except OSError:
        return os.sep
    return None


def find_uv() -> str:
    """The uv that came with nectar, else the one on PATH.

    :raises EnvironmentFailedError: there is none.
    """
    try:
        import uv

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, OSError, AttributeError):
        found = shutil.which("uv")
    if not found:
        raise EnvironmentFailedError(
            "There is no uv, which makes the environments.",
            where="neither beside nectar nor on PATH",
            hint="pip install uv",
        )
    return found


def with_cache(variables: Mapping[str, str], spare: Path) -> dict[str, str]:
    """The same variables, with a place for uv's cache where it cannot have its own, in the user's home directory.

    Without a home directory uv uses the current one, and in one that cannot be written (a container's user has ``/``) it fails.
    """
    home = find_user_home(variables)
    place = Path(variables["XDG_CACHE_HOME"]) if variables.get("XDG_CACHE_HOME") else home and home / ".cache"
    if variables.get("UV_CACHE_DIR") or (place is not None and _can_be_made(place / "uv")):
        return dict(variables)
    return {**variables, "UV_CACHE_DIR": str(spare)}


def _can_be_made(place: Path) -> bool:
    there = next(path for path in (place, *place.parents) if os.path.exists(path))
    return os.access(there, os.W_OK | os.X_OK)


def select_variables(environ: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """What uv gets of an environment.

    :param named: variables that a person wants to pass besides.
    """
    kept = passing.select_variables(environ, named)
    # uv breaks its words into lines of COLUMNS, also in a pipe: then nobody could look for them.
    return {**kept, "PATH": make_search_path(environ), "NO_COLOR": "1", "COLUMNS": "10000"}
