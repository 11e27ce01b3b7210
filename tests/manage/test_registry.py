"""The registry: replaced whole, changed under a lock, and patient with what others wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nectar.errors import ConflictError, NectarError
from nectar.home import Home
from nectar.manage.handlers import registry
from nectar.manage.handlers.registry import Record

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from([*Record().to_mapping(), "socket_path"]), JSON)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "data")


@pytest.mark.once
@given(FIELDS)
def test_any_record_is_read_and_written_as_it_is_read(fields: dict[str, Any]) -> None:
    record = Record.from_mapping(fields)
    assert record.status in ("running", "stopped")
    assert Record.from_mapping(json.loads(json.dumps(record.to_mapping()))) == record


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_a_change_keeps_what_it_does_not_know(home: Home, contents: dict[str, Any]) -> None:
    home.create()
    home.registry.write_text(json.dumps(contents))
    with registry.change(home) as records:
        records["added"] = Record(status="running")
    after = json.loads(home.registry.read_text())
    assert after.pop("added")["status"] == "running"
    contents.pop("added", None)
    assert after == json.loads(json.dumps(contents))


def test_what_is_not_changed_is_not_written(home: Home) -> None:
    with registry.change(home):
        pass
    assert not home.registry.exists()
    with registry.change(home) as records:
        records["a"] = Record()
    before = home.registry.stat()
    with registry.change(home) as records:
        records["a"] = Record()
    assert home.registry.stat().st_ino == before.st_ino


def test_a_block_that_fails_changes_nothing(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), registry.change(home) as records:
        records.update(a=Record(), b=Record(started=1 / 0))
    assert registry.read(home) == {}
    made = {directory.name for directory in home.directories if directory != home.uv_cache}
    assert set(os.listdir(home.nectar)) == {"registry.lock", *made}


ADD = """
import sys
from pathlib import Path
from nectar.home import Home
from nectar.manage.handlers import registry

for turn in range(10):
    with registry.change(Home(Path(sys.argv[1]))) as records:
        records[f"h{sys.argv[2]}-{turn}"] = registry.Record(attached_aliases=(sys.argv[2],))
"""


def test_many_at_once_lose_nothing_and_a_reader_sees_it_whole(home: Home) -> None:
    home.create()
    ended = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not ended.wait(0.005):
            seen.append(len(json.loads(home.registry.read_bytes()))) if home.registry.exists() else None

    looking = threading.Thread(target=look)
    looking.start()
    adding = [subprocess.Popen([sys.executable, "-c", ADD, home.data_dir, str(number)]) for number in range(4)]
    try:
        assert [process.wait(60) for process in adding] == [0] * 4
    finally:
        ended.set()
        looking.join()
        for process in adding:
            process.kill()
            process.wait()
    assert len(registry.read(home)) == 40
    assert seen == sorted(seen)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"a": NaN', b"[" * 100_000])
def test_what_is_broken_is_refused_and_left(home: Home, content: bytes) -> None:
    home.create()
    home.registry.write_bytes(content)
    with pytest.raises(NectarError, match="broken"):
        registry.read(home)
    with pytest.raises(NectarError, match="broken"), registry.change(home):
        pytest.fail("the block must not be entered")
    assert home.registry.read_bytes() == content


def test_one_handler_per_alias() -> None:
    records = {"a": Record(attached_aliases=("x",)), "b": Record(status="running", attached_aliases=("y",))}
    registry.require_free(records, ("x", "z"), name="a")
    with pytest.raises(ConflictError, match="'b'") as raised:
        registry.require_free(records, ("z", "y"), name="a")
    assert raised.value.hint == "First: nectar detach b y"


def test_it_is_private(home: Home) -> None:
    with registry.change(home) as records:
        records["a"] = Record()
    assert home.registry.stat().st_mode & 0o777 == 0o600
    assert home.registry_lock.stat().st_mode & 0o777 == 0o600
