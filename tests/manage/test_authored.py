"""Whatever somebody else wrote is read in a moment, or said to be what it is."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nectar import regular
from nectar.errors import EnvironmentFailedError
from nectar.manage.files import authored
from tests import needs

SOON = 4
"""Seconds of this process's own time, for what takes one; what is being prevented takes a minute, or for ever."""


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a pipe"),
        (Path.mkdir, "a directory"),
        (_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.symlink_to("/dev/tty"), "a device"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.write_bytes(b"x" * 101), "more than 100 bytes"),
        (lambda path: path.symlink_to("/proc/self/mountinfo"), "more than 100 bytes"),  # which says that it has none
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_file_to_read(make: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "it")
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    with pytest.raises(OSError, match=said):
        authored.read_bytes(tmp_path / "it", 100)
    assert len(os.listdir("/proc/self/fd") if before else []) == len(before)


def test_names_that_no_file_has(tmp_path: Path) -> None:
    for name in ("a\0b", "a\ud800b"):
        with pytest.raises(FileNotFoundError, match="name"):
            authored.read_bytes(tmp_path / name, 100)


def test_a_link_is_as_good_as_the_file_unless_none_is_to_be_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    (tmp_path / "link").symlink_to("file")
    assert authored.read_bytes(tmp_path / "link", 100) == b"x" * 100
    with pytest.raises(regular.NotRegularError):
        regular.read_regular(tmp_path / "link", 100, follow=False)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbfa\r\nb\rc\n", "a\nb\nc\n"),
        (b"", ""),
        ("ä".encode("latin-1"), "is not UTF-8"),
        ("a".encode("utf-16"), "begins like UTF-16"),
        ("a".encode("utf-32"), "begins like UTF-32"),
    ],
)
def test_texts(content: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(content)
    if "UTF" in text:
        with pytest.raises(EnvironmentFailedError, match=text):
            authored.read_text(tmp_path / "it", 100)
    else:
        assert authored.read_text(tmp_path / "it", 100) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "{a = " * 5000, "nested too deeply"),
        ("a." * 100_000 + "b = 1", "too long"),
        ("[" + "a . " * 100_000 + "b]", "too long"),
        ('"a".' * 100_000 + "b = 1", "too long"),
        ("\n".join(f"b{number}." + "a." * 300 + "c = 1" for number in range(1500)), "too long"),
        ("a = " + "1" * 5000, "too many digits"),
        ("a = [{ b = 0x" + "f" * 100 + " }]", "more than 64 bits"),
        ("a = 1979-02-31", "Invalid date"),
        ("a = 'b", "Expected"),
        ("-" * 500_000, "Expected"),
        ('"' * 500_000, "Expected"),
        (" . " * 300_000, "Invalid"),
    ],
    ids=lambda value: value[:20],
)
def test_tables_that_are_none(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "it.toml").write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(EnvironmentFailedError, match=said):
        authored.read_toml(tmp_path / "it.toml")
    assert time.process_time() - began < SOON


def test_tables_that_look_like_those(tmp_path: Path) -> None:
    text = f'a = "{"1." * 900}"\n[b.c."d.e"]\nf.g = {1 << 63}\nh = -{1 << 63}\ni = [nan, inf, 1979-05-27]\n'
    (tmp_path / "it.toml").write_text("\ufeff" + text, encoding="utf-8")
    assert authored.read_toml(tmp_path / "it.toml")["b"]["c"]["d.e"]["f"]["g"] == 1 << 63


def test_deep_json_is_none() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        authored.parse_json("[" * 200_000)


@needs.kernel_files
@pytest.mark.parametrize(
    "target", ["/proc/self/environ", "/proc/self/status", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"]
)
def test_what_the_kernel_says_is_no_file_that_somebody_wrote(target: str, tmp_path: Path) -> None:
    if not Path(target).exists():
        pytest.skip("this kernel does not say it")
    (tmp_path / "pyproject.toml").symlink_to(target)
    with pytest.raises(regular.NotRegularError, match="not a file on a disk"):
        authored.read_bytes(tmp_path / "pyproject.toml", authored.ANY)
