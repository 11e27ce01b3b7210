"""A socket at a path of any length, with a kernel that leads there through a descriptor and with one that does not."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nectar import address, features
from nectar.errors import UnresponsiveError
from nectar.protocol import ask, encode
from tests.test_protocol import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["proc", "none"])
def kernel(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "none":
        monkeypatch.setattr(features, "PROC", str(tmp_path / "none"))
    elif not features.has_proc():
        pytest.skip("no descriptor is a path here")
    kind: str = request.param
    return kind


def of_length(directory: Path, length: int) -> Path:
    """A path of so many bytes for a socket, whose directory is there."""
    left = length - len(os.fsencode(directory)) - len("/n.sock")
    while left:
        part = min(left, 100) if left != 101 else 99
        directory /= "d" * (part - 1)
        left -= part
    directory.mkdir(parents=True)
    return directory / "n.sock"


@pytest.fixture
def unix() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        yield made


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("length", [address.LONGEST, address.LONGEST + 1, 108, 109, 400])
def test_a_daemon_is_reached_at_a_path_of_any_length(tmp_path: Path, length: int) -> None:
    path = of_length(tmp_path, length)
    here = os.getcwd()
    with daemon(path, lambda _: encode({"ok": True})):
        assert path.is_socket()
        assert ask(path, {"do": "status"}, timeout=60)["ok"] is True
    assert os.getcwd() == here


@pytest.mark.usefixtures("kernel")
def test_what_fails_is_the_same_error_at_any_length(tmp_path: Path, unix: socket.socket) -> None:
    for length in (address.LONGEST, 400):
        path = of_length(tmp_path / str(length), length)
        with pytest.raises(FileNotFoundError):
            address.connect(unix, path)
        with pytest.raises(FileNotFoundError):
            address.bind(unix, path.parent / "none" / "n.sock")
        path.write_text("")
        with pytest.raises(ConnectionRefusedError):
            address.connect(unix, path)
        with pytest.raises(OSError, match="use") as raised:
            address.bind(unix, path)
        assert raised.value.errno == errno.EADDRINUSE


def test_nothing_is_left_open(kernel: str, tmp_path: Path, unix: socket.socket) -> None:
    with os.scandir("/dev/fd") as listed:
        before = len(list(listed))
    address.bind(unix, of_length(tmp_path, 400))
    with os.scandir("/dev/fd") as listed:
        assert len(list(listed)) == before, kernel


@pytest.mark.usefixtures("kernel")
def test_whose_queue_is_full_is_waited_for_only_so_long(tmp_path: Path, unix: socket.socket) -> None:
    path = of_length(tmp_path, 400)
    address.bind(unix, path)
    unix.listen(0)
    waiting = []
    begun = time.monotonic()
    try:
        for _ in range(3):
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].settimeout(5)
            address.connect(waiting[-1], path)
    except OSError:
        pass
    with pytest.raises(UnresponsiveError):
        ask(path, {"do": "status"}, timeout=1)
    assert time.monotonic() - begun < 60
    for client in waiting:
        client.close()


@pytest.mark.parametrize(
    ("child", "seconds", "number"),
    [("raise SystemExit(1)", None, errno.EIO), ("import time; time.sleep(900)", 1, errno.ETIMEDOUT)],
)
def test_a_child_that_says_nothing_is_an_error(
    tmp_path: Path, unix: socket.socket, monkeypatch: pytest.MonkeyPatch, child: str, seconds: float | None, number: int
) -> None:
    monkeypatch.setattr(features, "PROC", str(tmp_path / "none"))
    monkeypatch.setattr(address, "_CHILD", child)
    unix.settimeout(seconds)
    with pytest.raises(OSError, match=r"\S") as raised:
        address.bind(unix, of_length(tmp_path, 400))
    assert raised.value.errno == number


def test_without_a_python_there_is_an_error(tmp_path: Path, unix: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PROC", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FileNotFoundError):
        address.bind(unix, of_length(tmp_path, 400))
