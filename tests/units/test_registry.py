"""The registry: how long its lock is waited for, what a kill leaves of it at each point, and what nonsense in it counts for."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from nectar.errors import NewerError, UnresponsiveError
from nectar.home import Home
from nectar.locks import POLL, is_free
from nectar.manage.handlers import registry
from nectar.manage.handlers.registry import LOCK_TIMEOUT, Record
from nectar.manage.wall.grants import Grants
from tests.units.conftest import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.units.conftest import Clock


@pytest.fixture
def other(home: Home) -> Iterator[int]:
    """Another command, in the middle of a change."""
    with locked(home.registry_lock, fcntl.LOCK_EX) as descriptor:
        yield descriptor


def add(home: Home, name: str, **fields: Any) -> None:
    with registry.change(home) as records:
        records[name] = Record(**fields)


def replace_all(home: Home, wanted: dict[str, Record]) -> None:
    with registry.change(home) as records:
        records.clear()
        records.update(wanted)


# --- its lock


def test_another_change_is_waited_for_thirty_seconds(clock: Clock, home: Home, other: int) -> None:
    with pytest.raises(UnresponsiveError, match="too long") as raised, registry.change(home):
        pytest.fail("it is another's")
    assert clock.seconds == pytest.approx(LOCK_TIMEOUT, abs=POLL + 0.001)
    assert LOCK_TIMEOUT == 30
    assert raised.value.where == str(home.registry_lock)


@pytest.mark.parametrize("seconds", [0.01, 1.0, 29.9])
def test_what_another_one_has_changed_meanwhile_is_seen(clock: Clock, home: Home, other: int, seconds: float) -> None:
    def end() -> None:
        home.registry.write_text('{"theirs": {"status": "running"}}')
        fcntl.flock(other, fcntl.LOCK_UN)

    clock.at = seconds, end
    with registry.change(home) as records:
        assert list(records) == ["theirs"]
        records["ours"] = Record()
    assert clock.seconds == pytest.approx(seconds, abs=POLL + 0.001)
    assert list(registry.read(home)) == ["theirs", "ours"]


def test_a_reader_waits_for_nobody(clock: Clock, home: Home, other: int) -> None:
    assert registry.read(home) == {}
    assert clock.seconds == 0


def test_a_block_has_it_to_its_end_and_no_longer(home: Home) -> None:
    with registry.change(home):
        assert not is_free(home.registry_lock)
    assert is_free(home.registry_lock)
    with pytest.raises(ZeroDivisionError), registry.change(home):
        raise ZeroDivisionError
    assert is_free(home.registry_lock)


# --- whole at any moment

KILLED = """
import os, signal, sys
from pathlib import Path
from nectar.home import Home
from nectar.manage.handlers import registry

call, number, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
does, calls = getattr(os, call), []

def killed(*arguments, **more):
    calls.append(arguments)
    if (len(calls), when) == (number, "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    outcome = does(*arguments, **more)
    if (len(calls), when) == (number, "after"):
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome

setattr(os, call, killed)
with registry.change(Home(Path(sys.argv[4]))) as records:
    records["new"] = registry.Record()
"""


@pytest.mark.parametrize(
    ("call", "number", "when", "written"),
    [
        pytest.param("fsync", 1, "before", False, id="aside, and not on the disk"),
        pytest.param("fsync", 1, "after", False, id="aside, and on the disk"),
        pytest.param("replace", 1, "before", False, id="the one before about to be kept"),
        pytest.param("replace", 1, "after", False, id="the one before kept"),
        pytest.param("replace", 2, "before", False, id="about to be replaced"),
        pytest.param("replace", 2, "after", True, id="replaced"),
        pytest.param("fsync", 2, "before", True, id="its directory not on the disk"),
    ],
)
def test_a_kill_leaves_what_there_was_or_what_was_to_be(home: Home, call: str, number: int, when: str, written: bool) -> None:
    add(home, "old", handler="h.py")
    before = home.registry.read_bytes()
    command = [sys.executable, "-c", KILLED, call, str(number), when, str(home.data_dir)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert list(registry.read(home)) == (["old", "new"] if written else ["old"])
    assert (home.registry.read_bytes() == before) is not written
    add(home, "next")
    assert list(registry.read(home)) == (["old", "new", "next"] if written else ["old", "next"])
    assert {path.name for path in home.nectar.iterdir() if path.is_file()} == {"handlers.json", "handlers.json.1", "registry.lock"}
    kept = json.loads(home.registry_before.read_bytes())
    assert list(kept) == (["old", "new"] if written else ["old"]), "what it was before the last change"
    assert home.registry_before.stat().st_mode & 0o777 == 0o600


def test_who_reads_while_it_is_replaced_has_it_whole(home: Home) -> None:
    add(home, "a", handler="x" * 100_000)
    with home.registry.open("rb") as reading:
        begun = reading.read(10)
        add(home, "b", handler="y" * 100_000)
        assert list(json.loads(begun + reading.read())) == ["a"]
    assert list(registry.read(home)) == ["a", "b"]


# --- what is in it


def test_the_order_is_that_of_the_first_launches(home: Home) -> None:
    for name in ("c", "a", "b"):
        add(home, name)
    add(home, "a", status="running")
    assert list(registry.read(home)) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("field", "nonsense", "read"),
    [
        ("status", 1, "stopped"),
        ("status", "walking", "stopped"),
        ("desired", None, "stopped"),
        ("attached_aliases", "alice", ()),
        ("attached_aliases", ["alice", 1, None, ["bob"]], ("alice",)),
        ("handler", 7, ""),
        ("source", [], {}),
        ("environment", None, ""),
        ("asked_entry", 1, None),
        ("settings", "x", {}),
        ("sandbox", False, None),
        ("sandbox", True, {}),
        ("sandbox", ["network"], {}),
        ("effective", 1.5, {}),
        ("pid", "1", None),
        ("pid", True, None),
        ("pid", 1.5, None),
        ("started", "now", None),
        ("created", [], None),
        ("version", {}, ""),
    ],
)
def test_a_field_of_another_type_has_its_default(home: Home, field: str, nonsense: object, read: object) -> None:
    home.registry.write_text(json.dumps({"h": {field: nonsense}, "other": {"handler": "h.py"}}))
    records = registry.read(home)
    assert getattr(records["h"], field) == read
    assert records["other"].handler == "h.py"


@pytest.mark.parametrize(
    ("effective", "seconds"), [({}, 10), ({"stop_timeout": "x"}, 10), ({"stop_timeout": 7}, 7), ({"stop_timeout": 0.5}, 0.5)]
)
def test_the_time_for_a_stop(effective: dict[str, Any], seconds: float) -> None:
    assert Record(effective=effective).stop_timeout == seconds


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a..b", "x" * 65, "ä"])
def test_a_name_that_we_could_not_have_given_stays_and_is_not_shown(home: Home, name: str) -> None:
    home.registry.write_text(json.dumps({name: {"status": "running"}, "h": 7}))
    assert registry.read(home) == {}
    add(home, "ours")
    assert json.loads(home.registry.read_bytes()).keys() == {name, "h", "ours"}


@pytest.mark.parametrize(
    ("schema", "newer"),
    [
        (3, True),
        (99, True),
        (2, False),
        (1, False),
        (0, False),
        (-1, False),
        (2.5, False),
        ("2", False),
        (True, False),
        (None, False),
    ],
)
def test_which_records_are_a_newer_nectars(home: Home, schema: object, newer: bool) -> None:
    home.registry.write_text(json.dumps({"h": {"schema": schema}}))
    assert registry.read(home)["h"].is_newer is newer
    before = home.registry.read_bytes()
    for change in ({"h": Record()}, {}) if newer else ():
        with pytest.raises(NewerError, match="record of 'h'"):
            replace_all(home, {**change, "another": Record()})
        assert home.registry.read_bytes() == before
    add(home, "another")
    after = json.loads(home.registry.read_bytes())
    assert after["h"] == {"schema": schema}


def test_a_record_with_a_wall_is_not_one_that_an_older_nectar_starts_without(home: Home) -> None:
    grants = Grants(network=True, read=("/data",))
    add(home, "h", sandbox=grants.to_mapping())
    assert json.loads(home.registry.read_bytes())["h"]["schema"] == 2
    record = registry.read(home)["h"]
    assert (record.wall, record.is_newer) == (grants, False)
    add(home, "h", sandbox=None)
    assert "schema" not in json.loads(home.registry.read_bytes())["h"]
    assert registry.read(home)["h"].wall is None
