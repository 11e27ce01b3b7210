"""``nectar.json`` as another version, a handler or a disk may leave it: what is not as we write it is no finished environment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nectar.manage.environment import marker
from nectar.manage.environment.marker import MARKER
from nectar.protocol import EntryPoint

OLD: dict[str, Any] = {
    "python_version": "3.12.1",
    "distribution": "demo 1.0",
    "entries": {"demo": "demo:answer"},
    "plugins": [["more", "demo.more"]],
    "distributions": [["demo", "1.0"]],
    "snapshot": None,
    "schema": 1,
    "key": "0123456789abcdef0123",
    "digests": {"source": "00"},
    "base_python": "/usr/bin/python3.12",
    "settings": {"workers": 2},
    "source": "/home/a/demo",
    "created": 1.5,
    "nectar": "0.1.0",
}
"""As 0.1.0 wrote it."""
NEEDED = ["python_version", "distribution", "entries", "plugins", "distributions", "settings", "digests", "schema"]
WRONG: list[Any] = [{"a": 1}, [["x"]], "\0", True, None]
"""Of a wrong type, whatever field it stands in."""


def test_that_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text(json.dumps(OLD))
    found = marker.read(tmp_path)
    assert found is not None
    assert (found.entries, found.settings, found.noted, found.rebuilt) == (
        (EntryPoint("demo", "demo:answer"),),
        OLD["settings"],
        False,
        {},
    )


def test_it_reads_what_it_wrote(tmp_path: Path) -> None:
    made = marker.Marker.from_json({**OLD, "noted": True, "rebuilt": {"pyvenv.cfg": 1.0}, "unknown": [1]})
    assert made is not None
    made.write(tmp_path)
    assert marker.read(tmp_path) == made


def test_what_is_portable_is_no_machine_s_own(tmp_path: Path) -> None:
    digests = {"project": "1", "source": "2", "lock": "3", "python": "4", "index": "5", "platform": "linux x86_64"}

    def portable(version: str, **changed: str) -> str:
        made = marker.Marker.from_json({**OLD, "python_version": version, "digests": {**digests, **changed}})
        assert made is not None
        return made.portable

    same = portable("3.12.1")
    assert portable("3.12.7", python="0", index="0", platform="darwin arm64") == same
    assert len({same, portable("3.13.1"), *(portable("3.12.1", **{part: "0"}) for part in ("project", "source", "lock"))}) == 5


WRITTEN = """\
{
 "schema": 1,
 "python_version": "3.12.1",
 "distribution": "demo 1.0",
 "entries": {
  "demo": "demo:answer"
 },
 "plugins": [
  [
   "more",
   "demo.more"
  ]
 ],
 "distributions": [
  [
   "demo",
   "1.0"
  ]
 ],
 "settings": {
  "workers": 2
 },
 "digests": {
  "source": "00"
 },
 "snapshot": null,
 "key": "0123456789abcdef0123",
 "base_python": "/usr/bin/python3.12",
 "source": "/home/a/demo",
 "created": 1.5,
 "took": 0.0,
 "nectar": "0.1.0",
 "noted": true,
 "rebuilt": {
  "pyvenv.cfg": 1.0
 },
 "portable": "46dfcf736c23e8c33d71"
}"""


def test_it_is_written_byte_for_byte_as_ever(tmp_path: Path) -> None:
    made = marker.Marker.from_json({**OLD, "noted": True, "rebuilt": {"pyvenv.cfg": 1.0}})
    assert made is not None
    made.write(tmp_path)
    assert (tmp_path / MARKER).read_text() == WRITTEN


@pytest.mark.parametrize(
    ("fields", "newer"),
    [
        ({"schema": 2, "nectar": "9.1.0"}, True),
        ({**OLD, "schema": 2, "entries": [{"name": "demo"}]}, True),
        ({"schema": 10**30}, True),
        ({"schema": 1}, False),
        ({"schema": 0}, False),
        ({"schema": "2"}, False),
        ({"schema": 2.0}, False),
        ({"schema": True}, False),
        ({}, False),
        ([2], False),
        (None, False),
    ],
)
def test_what_a_newer_version_wrote(tmp_path: Path, fields: object, newer: bool) -> None:
    (tmp_path / MARKER).write_text(json.dumps(fields))
    assert marker.read(tmp_path) is None
    assert marker.is_newer(tmp_path) is newer


@pytest.mark.parametrize(
    "fields",
    [
        *({name: value for name, value in OLD.items() if name != left_out} for left_out in NEEDED),
        *({**OLD, name: value} for name in OLD for value in WRONG if (name, value) != ("snapshot", None)),
        {**OLD, "schema": 2},
        {**OLD, "python_version": "../../3.12"},
        {**OLD, "snapshot": "../../handlers/other.env"},
        {**OLD, "snapshot": "/etc/passwd"},
        {**OLD, "entries": {"demo": "\ud800"}},
        {**OLD, "settings": {"workers": 0}},
        {**OLD, "settings": {"no_such_setting": 1}},
        {**OLD, "created": float("nan")},
        {**OLD, "rebuilt": {"a": "yesterday"}},
        [],
        None,
        "text",
    ],
)
def test_what_is_none(tmp_path: Path, fields: object) -> None:
    (tmp_path / MARKER).write_text(json.dumps(fields))
    assert marker.read(tmp_path) is None


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\xfe{\0"),
        lambda path: path.write_bytes(b"[" * 1_000_000),
        lambda path: path.write_bytes(b'{"schema": 1' + b"0" * 10_000 + b"}"),
        lambda path: path.write_bytes(json.dumps(OLD).encode() + b" " * (20 << 20)),
        sparse,
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.with_name("whole.json")),
    ],
)
def test_what_may_stand_in_its_place(tmp_path: Path, make: Callable[[Path], object]) -> None:
    (tmp_path / "whole.json").write_text(json.dumps(OLD))
    make(tmp_path / MARKER)
    assert marker.read(tmp_path) is None
