"""No test can touch the real home directory, and none leaves a process behind."""

from __future__ import annotations

import gc
import os
import pwd
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from nectar.home import Home
from tests.soak.table import FRACTION, Row, pytest_terminal_summary
from tests.world import World, pids, reap

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["pytest_terminal_summary"]  # a hook: where soak tests ran, their table

REAL_HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
SOAKS = [Path(__file__).parent / name for name in ("soak", "hostile")]
"""Whose tests are marked as soak tests, have all the time that a loaded machine needs, and write a row into the table."""
TEMPORARY_HOME = pytest.StashKey[Path]()
WORLD = "world"


# For another Python, or other libraries: what they have a part in shows in any example.
settings.register_profile("few", settings.get_profile("ci"), max_examples=20)


def pytest_configure(config: pytest.Config) -> None:
    """Give this process, and so all that it starts, a home directory of its own; caches of downloads stay where they are."""
    # Who runs the tests in the background may have them ignore an interrupt, and then so would all that they start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = Path(os.environ.get("HOME") or REAL_HOME)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    os.environ.setdefault("UV_CACHE_DIR", str(cache / "uv"))
    os.environ.setdefault("UV_PYTHON_INSTALL_DIR", str(data / "uv" / "python"))
    if (home / ".pyenv").is_dir():
        os.environ.setdefault("PYENV_ROOT", str(home / ".pyenv"))
    config.stash[TEMPORARY_HOME] = Path(tempfile.mkdtemp(prefix="nectar-tests-home-"))
    os.environ["HOME"] = str(config.stash[TEMPORARY_HOME])
    # A command is called a thousand times here, and should not be compiled each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in (
        "NECTAR_DASK_ADDRESS",
        "NECTAR_DATA_DIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "VIRTUAL_ENV",
        "NO_COLOR",
    ):
        os.environ.pop(name, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent in SOAKS:
            item.add_marker(pytest.mark.soak)
            item.add_marker(pytest.mark.timeout(max(600, 3600 * FRACTION)))
    # Each of several processes is given a part of the list to begin with: the long ones come first in each part, so that what is
    # left at the end, when one takes from another, is short.
    parts = getattr(config, "workerinput", {}).get("workercount", 1)
    long: list[pytest.Item] = []
    short: list[pytest.Item] = []
    for item in items:
        (long if item.get_closest_marker("soak") or item.get_closest_marker("waits") else short).append(item)
    size = -(-len(items) // parts)
    items.clear()
    for number in range(parts):
        begun = long[number::parts]
        items += [*begun, *short[: size - len(begun)]]
        del short[: size - len(begun)]
    items += short


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What is collected stays until the end, and each search for garbage would go through all of it (0.1 s each time).
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[TEMPORARY_HOME], ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_home(pytestconfig: pytest.Config) -> Iterator[None]:
    """Fail a test that begins or ends with another home directory than the temporary one."""
    assert Path.home() == pytestconfig.stash[TEMPORARY_HOME]
    yield
    assert Path.home() == pytestconfig.stash[TEMPORARY_HOME]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is named by its content is kept for all worlds of a run, and where each of them is while its test runs."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def world(tmp_path: Path, shared: Path) -> Iterator[World]:
    """A data dir with ``nectar`` to work on it. Its environments are shared with other tests: they are named by their content.

    A part of that is where a single file lies: hence all worlds are at one place, one after the other.
    """
    place = shared / WORLD
    place.mkdir()
    made = World(place)
    made.share(shared)
    yield made
    try:
        made.close()
    finally:
        place.rename(tmp_path / WORLD)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """A data dir that shares nothing."""
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A data dir's map, and the data dir."""
    made = Home(tmp_path)
    made.create()
    return made


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    return Row(request.node.name)


@pytest.fixture(autouse=True)
def _no_process_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process which knows its temporary directory."""
    # Only tests that have one can.
    directories = [request.getfixturevalue("tmp_path")] if "tmp_path" in request.fixturenames else []
    if "world" in request.fixturenames:
        directories.append(request.getfixturevalue("shared") / WORLD)
    # What was there before knows nothing of it, and to ask all of /proc after each test takes longer than most tests do.
    older = pids() if directories else ()
    yield
    for directory in directories:
        left = reap(directory, older=older)
        assert not left, "processes were left behind:\n" + "\n".join(left)
