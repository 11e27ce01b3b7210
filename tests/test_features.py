"""What the system can do: what is said where it cannot, and that nobody else asks."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import features, proc, processes
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = ROOT / "src" / "nectar"
ASKED = re.compile(
    r"""sys\.platform|platform\.system|os\.uname|["'`]/proc\b(?! )|(hasattr|getattr)\((os|signal|socket|fcntl|resource|select), """
    r"|os\.(pidfd_|waitid|O_PATH|listxattr)|resource\.prlimit|SO_PEERCRED|\.(prctl|renameat2)\b"
)
ASKING = {
    "features.py",
    "inherited.py",  # of limits, each by the name in a table of names
    "manage/wall/bubblewrap.py",  # whose /proc is the one inside, not the system's
    "manage/source/plan.py",  # the system's name is a part of what a build depends on
}


def test_nobody_else_asks_what_the_system_is_or_can() -> None:
    asking = {str(file.relative_to(CODE)) for file in CODE.rglob("*.py") if asks(file)}
    assert asking == ASKING


def asks(file: Path) -> bool:
    lines = file.read_text().splitlines()
    return any(ASKED.search(line.partition("  #")[0]) and '"""' not in line and "``" not in line for line in lines)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose kernel tells of no processes."""
    monkeypatch.setattr(features, "PROC", str(tmp_path / "none"))


@pytest.mark.usefixtures("nowhere")
def test_without_proc_each_question_has_an_answer() -> None:
    assert not features.has_proc()
    assert features.resident_memory(os.getpid()) == 0
    assert features.mounts() == []
    assert features.file_system("/") == ""
    assert features.kernel_limit("fs/inotify/max_user_watches") is None
    assert not proc.tells_starts()
    assert proc.read_lines() is None
    assert processes.daemons(processes.marks("/data", "h")) == {}
    assert proc.has_open(os.getpid(), Path(__file__))


def test_an_open_directory_has_a_path_wherever_it_is_moved(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    directory = os.open(tmp_path / "before", os.O_RDONLY)
    try:
        (tmp_path / "before").rename(tmp_path / "after")
        (tmp_path / "after" / "file").touch()
        assert os.listdir(features.path_of(directory)) == ["file"]
    finally:
        os.close(directory)


def test_the_user_at_the_other_side_is_told_where_there_are_credentials() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert features.peer_user(ours) == (os.geteuid() if hasattr(socket, "SO_PEERCRED") else None)


def test_what_a_process_may_ask_for_is_bounded_from_outside() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        features.bound_data(process.pid, 1 << 40)
        if hasattr(resource, "prlimit"):
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_DATA)
            assert (soft, hard) == (1 << 40, resource.getrlimit(resource.RLIMIT_DATA)[1])
            features.bound_data(process.pid, 1 << 40, 1 << 39)
            assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (1 << 39, 1 << 39)
            features.bound_data(process.pid, 1 << 40)
            assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (1 << 39, 1 << 39)
        process.communicate(b"\n")


def test_a_descriptor_of_a_process_is_no_other_processes() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        descriptor = features.open_process(process.pid)
        if descriptor is not None:
            features.signal_process(descriptor, signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
            with pytest.raises(ProcessLookupError):
                features.signal_process(descriptor, signal.SIGKILL)
            os.close(descriptor)
            assert features.open_process(process.pid) is None
        process.kill()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


def test_two_files_change_places_or_stay_where_they_are(tmp_path: Path, directory: int) -> None:
    names = ("a", "b\udcff")
    for name in names:
        (tmp_path / name).write_text(f"of {names.index(name)}")
    try:
        features.exchange(*names, directory)
    except OSError as error:
        assert error.errno in (errno.ENOSYS, errno.EINVAL)
        assert [(tmp_path / name).read_text() for name in names] == ["of 0", "of 1"]
        return
    assert [(tmp_path / name).read_text() for name in names] == ["of 1", "of 0"]
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        features.exchange(*names, directory)
    assert (tmp_path / names[1]).read_text() == "of 0"


def test_without_such_a_call_it_is_said(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_c_function", lambda _: None)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        features.exchange("a", "b", directory)
    assert not features.replaces_slowly(directory)


def test_where_a_file_system_cannot_be_asked_it_replaces_as_others_do() -> None:
    assert not features.replaces_slowly(-1)


@pytest.mark.parametrize(("had", "has"), [("soft", "1, 1"), ("0, 0", "0, 0")])
def test_a_walled_process_leaves_no_picture_of_its_memory_and_needs_no_right_for_that(had: str, has: str) -> None:
    script = f"""
    import resource
    from nectar import features
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, ({had if "," in had else "soft, hard"}))
    resource.setrlimit(resource.RLIMIT_NPROC, (500, 500))
    features.bound_walled(1000)
    assert resource.getrlimit(resource.RLIMIT_CORE) == ({has}) or hard == 0
    assert resource.getrlimit(resource.RLIMIT_NPROC) == (500, 500)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
