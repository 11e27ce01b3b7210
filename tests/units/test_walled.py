"""What stands before the command line of a worker behind a wall."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from nectar.manage.wall import bubblewrap
from nectar.manage.wall.bubblewrap import Layout
from nectar.manage.wall.grants import Grants
from nectar.runtime.daemon.workers.ends import explain_no_start
from nectar.runtime.daemon.workers.kernel import System
from nectar.runtime.daemon.workers.walled import compose
from tests.units.machines import LOADING

if TYPE_CHECKING:
    from pathlib import Path


def wall_of(**granted: Any) -> dict[str, Any]:
    return bubblewrap.compose("/bwrap", Layout(home="/home/me", directory="/", shown={}, grants=Grants(**granted)))


def test_what_was_granted_and_has_become_a_link_starts_no_worker(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    wall = wall_of(read=(str(corpus),))
    with ExitStack() as ours, ExitStack() as theirs:
        _, option, descriptor, _ = compose(wall, {"SECRET": "s"}, ours, theirs)[0]
        command = os.pread(int(descriptor), 1 << 20, 0).decode().split("\0")
    assert option == "--args"  # and so on no command line
    assert command[-4:] == ["--setenv", "SECRET", "s", ""]
    at = command.index(str(corpus))
    assert command[at - 1 : at + 2] == ["--ro-bind", str(corpus), str(corpus)]
    corpus.rmdir()
    corpus.symlink_to("/etc")
    with ExitStack() as ours, ExitStack() as theirs, pytest.raises(OSError, match="is a link by now") as told:
        compose(wall, {}, ours, theirs)
    assert (told.value.errno, told.value.filename) == (errno.ELOOP, str(corpus))


def test_without_its_python_no_worker_is_started_and_it_is_told_as_without_a_wall(tmp_path: Path) -> None:
    gone = LOADING._replace(python=str(tmp_path / "python"), wall={**wall_of(), "program": sys.executable})
    with pytest.raises(FileNotFoundError) as told:
        System().spawn(gone, "start.py", "owner")
    assert "Python of the handler's environment is not there any more" in explain_no_start(told.value, gone.python).message


def test_a_directory_that_is_granted_is_not_counted_as_memory() -> None:
    assert wall_of()["tmpfs"] == ["/dev/shm", "/tmp", "/home/me"]
    assert wall_of(write=("/tmp",))["tmpfs"] == ["/dev/shm", "/home/me"]
