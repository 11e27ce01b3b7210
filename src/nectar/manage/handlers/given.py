"""What a person gave a handler: variables, with ``--env`` and ``--env-file``, or by way of ``pass_env`` from the launching shell;
and the login in a requirement's address.

They may be secrets. So they lie in a file of their own, mode 0600, and never in the registry.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nectar import ownership
from nectar.errors import EnvironmentFailedError, NotFoundError, UsageError
from nectar.home import NAME_PATTERN
from nectar.manage.files import authored
from nectar.manage.files.locks import Busy, held
from nectar.manage.files.writing import write_whole
from nectar.manage.handlers import registry
from nectar.settings import variable_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nectar.home import Home

_UNRECORDED = ".unrecorded"
"""Ends the name of an empty file that is there while the variables and the record that they belong to are not both whole."""
_BESIDE = re.compile(r"(.+)\.env(\.unrecorded(?:\.new)?|\.new|\.[0-9]+\.new)")
"""That one, and variables that are being written: as this version calls it, and as 0.1.0 did."""
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What was given at launch; kept for each later start.

    :ivar env: names and values.
    :ivar files: paths of files with more of them, absolute; read again at each start.
    :ivar passed: what ``pass_env`` let through from the launching shell.
    :ivar login: what the handler is fetched with; its processes do not get it.
    """

    env: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    passed: dict[str, str] = field(default_factory=dict)
    login: str | None = field(default=None, repr=False)

    def passing(self, names: list[str], environ: Mapping[str, str]) -> Given:
        """The same, with these variables of a shell, where it has them; what was let through before stays."""
        found = {name: environ[name] for name in names if name in environ}
        return replace(self, passed={name: value for name, value in {**self.passed, **found}.items() if name in names})

    def variables(self) -> dict[str, str]:
        """All of them together; a later file wins over an earlier one, and ``env`` over all.

        :raises NotFoundError: a file is not there.
        :raises UsageError: a line of it cannot be read.
        """
        together = dict(self.passed)
        for file in self.files:
            together |= read_file(Path(file))
        return together | self.env


def parse(pair: str) -> tuple[str, str]:
    """A name and a value from ``K=V``.

    :raises UsageError: it is not of that form.
    """
    name, equals, value = pair.partition("=")
    if not equals or not variable_name(name):
        raise UsageError("--env takes K=V.", where=repr(name))
    return name, value


def read_file(path: Path) -> dict[str, str]:
    """Names and values from lines ``K=V``; blank lines, comments, ``export`` and quotes around a value are understood."""
    try:
        lines = authored.read_text(path, authored.SETTINGS).splitlines()
    except OSError as error:
        raise NotFoundError(f"The file with variables cannot be read: {error.strerror}.", where=str(path)) from None
    except EnvironmentFailedError as error:
        raise UsageError(error.message, where=error.where) from None
    found = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError("This line is not of the form K=V.", where=f"{path}, line {number}")
        name, value = match[1], match[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if "\0" in value:
            raise UsageError("This value has a NUL character in it, which no variable can have.", where=f"{path}, line {number}")
        found[name] = value
    return found


def read(home: Home, name: str) -> Given:
    """What was given to a handler when it was launched."""
    try:
        fields = json.loads(ownership.read(home.variables(name)))
        login = fields.get("login")
        return Given(
            env=dict(fields["env"]),
            files=tuple(fields["files"]),
            passed=dict(fields["passed"]),
            login=login if isinstance(login, str) else None,
        )
    except FileNotFoundError:
        return Given()
    except (ValueError, KeyError, TypeError, AttributeError):
        path = home.variables(name)
        raise UsageError(
            "The handler's variables cannot be read.", where=str(path), hint="Launch it again, with its --env."
        ) from None


@contextmanager
def kept(home: Home, name: str, given: Given) -> Iterator[None]:
    """Keep variables for later starts; what was there before comes back when the block fails. To be used in the name's turn.

    :param given: belongs to the record that the block writes. Where that is killed, :func:`sweep` sees it.
    """
    path, mark = home.variables(name), _mark(home, name)
    before = ownership.read(path) if path.exists() else None
    record = registry.read(home).get(name)
    if record is None:
        mark.touch(0o600)
    else:
        write_whole(mark, json.dumps({"started": record.started, "variables": before and before.decode()}).encode())
    try:
        _write(path, None if given == Given() else json.dumps(asdict(given)).encode())
        yield
    except BaseException:
        _write(path, before)
        raise
    finally:
        mark.unlink(missing_ok=True)


@contextmanager
def forgotten(home: Home, name: str) -> Iterator[None]:
    """Remove what is kept once the block has removed the record. To be used in the name's turn.

    Where that ends in between, the next command's :func:`sweep` sees by the record what is to be done.
    """
    _mark(home, name).touch(0o600)
    yield
    _forget(home, name)


def sweep(home: Home) -> None:
    """Remove what commands left when they were killed: variables that were being written, or that no record was written for.

    Where there is an older record, its variables come back.
    """
    for name, paths in _left(home).items():
        with suppress(Busy, OSError), held(home.turn(name), wait=False):  # else they are being written, or cannot be removed now
            record = registry.read(home).get(name)
            if _mark(home, name) not in paths:
                pass
            elif record is None:
                _forget(home, name)
                home.turn(name).unlink(missing_ok=True)
            else:
                _put_back(home, name, record.started)
            for path in paths:
                path.unlink(missing_ok=True)


def _put_back(home: Home, name: str, started: float | None) -> None:
    """The variables that a record had, where that one is still there and was to get others."""
    try:
        fields = json.loads(ownership.read(_mark(home, name)))
        if fields["started"] == started:
            _write(home.variables(name), fields["variables"] and fields["variables"].encode())
    except (ValueError, KeyError, TypeError):  # of an end, or broken off before anything else was written
        pass


def _forget(home: Home, name: str) -> None:
    for path in (home.variables(name), *_left(home).get(name, [])):
        path.unlink(missing_ok=True)


def _mark(home: Home, name: str) -> Path:
    path = home.variables(name)
    return path.with_name(f"{path.name}{_UNRECORDED}")


def _left(home: Home) -> dict[str, list[Path]]:
    """The files beside those that are read, by the handler's name."""
    found: dict[str, list[Path]] = {}
    for path in home.handlers.glob("*.env.*"):
        match = _BESIDE.fullmatch(path.name)
        if match is not None and NAME_PATTERN.fullmatch(match[1]):
            found.setdefault(match[1], []).append(path)
    return found


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, content)
