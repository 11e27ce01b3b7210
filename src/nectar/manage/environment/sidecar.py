"""Nectar's own side of a handler's process: it rides beside the environment, never in it.

One directory for each version of nectar and minor version of Python: ``api/`` holds nectar itself, but for what only the command
needs, ``deps/`` what the daemon needs, ``meta/`` what says to pytest that we are there. All of it is copied from what is installed beside the running command.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nectar
from nectar.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nectar.home import Home

DISTRIBUTION = "bee-hive-nectar"
API = "api"
"""The directory with nectar itself, for the path of the handler's processes."""
META = "meta"
_DEPS = "deps"
_START = Path(API, "nectar", "runtime", "start.py")
_DEPENDENCIES = ("watchdog", "pluggy")
_LEFT_OUT = frozenset({"__pycache__", "_template"})
_THE_COMMANDS = frozenset({"cli", "manage", "web", "__main__.py"})
"""Rooms that no process of a handler imports from: half of the files, which each start of a handler would read."""


def provide_runtime(home: Home, python_minor: str) -> Path:
    """The directory of this nectar for a Python, made where it is missing.

    :param python_minor: as in ``"3.12"``; a longer version is cut.
    :raises EnvironmentFailedError: it cannot be made.
    """
    minor = ".".join(python_minor.split(".")[:2])
    target = _place(home, minor, _files(minor))
    try:
        os.utime(target)  # gc leaves alone what was wanted a moment ago
    except FileNotFoundError:
        pass
    except OSError:  # it cannot be written at all: not by gc either
        return target
    else:
        return target
    import shutil  # slow to import, and not needed where the directory is there
    import tempfile

    try:
        home.create()
        files = dict(_files(minor))
        target = _place(home, minor, files.items())  # of what is written, should one have been changed since
        files.update(_metadata())
        aside = Path(tempfile.mkdtemp(prefix=".build-", dir=home.runtimes))
        try:
            for name, content in files.items():
                place = aside / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            if _is_ours(minor):
                _take_bytecode(aside, files)
            aside.chmod(0o755)
            aside.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        if target.is_dir():  # another command was faster
            return target
        raise EnvironmentFailedError(
            f"Nectar's own side of the handler could not be written: {error.strerror or error}.",
            where=str(error.filename or target),
        ) from error
    return target


def start_script(runtime_directory: Path) -> Path:
    """The script that the environment's interpreter is given."""
    return runtime_directory / _START


def _place(home: Home, minor: str, files: Iterable[tuple[str, bytes]]) -> Path:
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return home.runtimes / f"{nectar.__version__}+{digest.hexdigest()[:8]}-{minor}"


def _files(minor: str) -> Iterator[tuple[str, bytes]]:
    yield from _package(os.path.dirname(nectar.__file__), f"{API}/nectar", _LEFT_OUT | _THE_COMMANDS)
    for name in _DEPENDENCIES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise EnvironmentFailedError(f"Nectar is installed without {name}, which it needs.", hint=f"pip install {name}")
        yield from _package(next(iter(spec.submodule_search_locations)), f"{_DEPS}/{name}")
    yield from _compiled(minor)


def _package(directory: str, position: str, left_out: frozenset[str] = _LEFT_OUT) -> Iterator[tuple[str, bytes]]:
    # Each command that starts a handler reads these 110 files; with pathlib, and all of them held at once, that took twice as long.
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.name in left_out:
            continue
        if entry.is_dir():
            yield from _package(entry.path, f"{position}/{entry.name}")
        elif entry.name.endswith((".py", ".pyi", ".typed")):
            with open(entry.path, "rb", buffering=0) as file:
                content = file.readall()
            yield f"{position}/{entry.name}", content


def _compiled(minor: str) -> Iterator[tuple[str, bytes]]:
    """Watchdog's compiled module, which it has on macOS; for another Python than ours watchdog does without it."""
    if not _is_ours(minor):
        return
    spec = importlib.util.find_spec("_watchdog_fsevents")
    if spec is not None and spec.origin:
        yield f"{_DEPS}/{Path(spec.origin).name}", Path(spec.origin).read_bytes()


def _is_ours(minor: str) -> bool:
    return minor == f"{sys.version_info.major}.{sys.version_info.minor}"


def _take_bytecode(aside: Path, files: Mapping[str, bytes]) -> None:
    """Give the copies of nectar's modules the bytecode that the originals have, for a Python like ours.

    The first daemon and worker of a data dir would compile 75 modules, which takes 0.1 s of processor time. It comes from where this
    command takes its own, so nobody has a say in it who has none here; and what another Python wrote is compiled anew by that one.
    """
    ours = f"{API}/nectar/"
    for name, content in files.items():
        if name.startswith(ours) and name.endswith(".py"):
            bytecode = _bytecode(os.path.join(os.path.dirname(nectar.__file__), name.removeprefix(ours)), content, aside / name)
            if bytecode is not None:
                module = aside / name
                module.with_name("__pycache__").mkdir(exist_ok=True)
                (module.parent / "__pycache__" / f"{module.stem}.{sys.implementation.cache_tag}.pyc").write_bytes(bytecode)


def _bytecode(original: str, content: bytes, copy: Path) -> bytes | None:
    """The bytecode of a module, as that of its copy; None where there is none, or it is not certain that it is of that content."""
    try:
        with open(importlib.util.cache_from_source(original, optimization=""), "rb", buffering=0) as file:
            bytecode, written = file.readall(), os.fstat(file.fileno()).st_mtime_ns
        with open(original, "rb", buffering=0) as file:
            unchanged, now = file.readall() == content, os.fstat(file.fileno())
    except (OSError, NotImplementedError):
        return None
    # Python goes by the size and by whole seconds. What was written once more within that second would have other bytecode for good.
    if bytecode[:16] != _header(now) or now.st_mtime_ns >= written or not unchanged:
        return None
    return _header(copy.stat()) + bytecode[16:]


def _header(source: os.stat_result) -> bytes:
    """How bytecode begins that goes by the time and the size of its source (PEP 552)."""
    fields = (0, int(source.st_mtime), source.st_size)
    return importlib.util.MAGIC_NUMBER + b"".join((field & 0xFFFFFFFF).to_bytes(4, "little") for field in fields)


def _metadata() -> Iterator[tuple[str, bytes]]:
    """Our dist-info, as it is installed; a checkout that is only on the path gets the least that makes one."""
    import importlib.metadata

    place = f"{META}/bee_hive_nectar-{nectar.__version__}.dist-info"
    try:
        ours = importlib.metadata.distribution(DISTRIBUTION)
        entry_points = ours.read_text("entry_points.txt") or ""
    except importlib.metadata.PackageNotFoundError:
        entry_points = ""
    yield f"{place}/METADATA", f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {nectar.__version__}\n".encode()
    yield f"{place}/entry_points.txt", entry_points.encode()
