"""Which environment of a content counts, and what becomes of one that a newer version made: said of directories with a marker each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nectar.home import Home
from nectar.manage import gc
from nectar.manage.environment import generations, notes, store
from nectar.manage.environment.marker import MARKER
from nectar.manage.handlers import registry
from nectar.manage.handlers.registry import Record
from nectar.protocol import EntryPoint

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef0123"
FIELDS: dict[str, Any] = {
    "schema": 1,
    "python_version": "3.12.1",
    "distribution": "demo 1.0",
    "entries": {"demo": "demo:answer"},
    "plugins": [["more", "demo.more"]],
    "distributions": [["demo", "1.0"]],
    "settings": {"workers": 2},
    "digests": {"source": "00"},
    "nectar": "0.1.0",
}
NEWER = {"schema": 2, "nectar": "9.1.0", "all": {"is": "other"}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "data")
    made.create()
    return made


def make(home: Home, name: str, fields: dict[str, Any] | None = None, *, python: bool = True, noted: bool = False) -> Path:
    """An environment as a build leaves it, as far as it is looked at."""
    path = home.envs / name
    (path / "lib" / "python3.12" / "site-packages").mkdir(parents=True)
    (path / "bin").mkdir()
    if python:
        (path / "bin" / "python").touch()
    (path / "module.py").write_text("x = 1\n")
    if noted:
        notes.write(path, notes.take(path))
    (path / MARKER).write_text(json.dumps({**(fields or FIELDS), **({"noted": True} if noted else {})}))
    return path


def test_what_is_said_of_one(home: Home) -> None:
    path = make(home, KEY, {**FIELDS, "snapshot": "lib/x.json"})
    found = generations.find_newest(home, KEY)
    assert found is not None
    assert (found.key, found.path, found.changed) == (KEY, path, ())
    assert (found.python, found.snapshot) == (path / "bin" / "python", path / "lib" / "x.json")
    assert found.marker.entries == (EntryPoint("demo", "demo:answer"),)
    assert found.marker.plugins == (EntryPoint("more", "demo.more"),)
    assert found.settings.workers == 2


def test_the_newest_one_that_is_whole_counts(home: Home) -> None:
    assert generations.find_newest(home, KEY) is None
    assert generations.choose_name(home, KEY) == KEY
    for name in (KEY, f"{KEY}.2", f"{KEY}.10"):
        make(home, name)
        found = store.find_unchanged(home, KEY)
        assert found is not None and found.key == name
    make(home, f"{KEY}.11", python=False)
    make(home, f"{KEY}.12", {"schema": 1})
    make(home, f"{KEY}x")
    assert generations.key_of(f"{KEY}.10") == KEY
    newest = generations.find_newest(home, KEY)
    assert newest is not None and newest.key == f"{KEY}.10"
    assert generations.choose_name(home, KEY) == f"{KEY}.13"


def test_one_that_was_changed_is_none_and_none_of_before_comes_back(home: Home) -> None:
    make(home, KEY)
    path = make(home, f"{KEY}.2", noted=True)
    assert store.find_unchanged(home, KEY) is not None
    (path / "module.py").write_text("x = 2\n")
    found = generations.find_newest(home, KEY)
    assert found is not None and found.changed == ("module.py",)
    assert store.find_unchanged(home, KEY) is None
    assert store.explain_loss(home, KEY) == f" was changed after it had been built: {path / 'module.py'}"


def test_why_there_is_none(home: Home) -> None:
    assert store.explain_loss(home, KEY) == ", or its Python, is gone"
    make(home, KEY, python=False)
    assert store.explain_loss(home, KEY) == ", or its Python, is gone"


# --- what a newer version made


def test_it_is_passed_over_and_its_name_is_not_taken(home: Home) -> None:
    make(home, KEY)
    newer = make(home, f"{KEY}.2", NEWER)
    found = generations.find_newest(home, KEY)
    assert found is not None and found.key == KEY
    assert generations.choose_name(home, KEY) == f"{KEY}.3"
    assert generations.find_newer(home, KEY) == [newer]
    assert generations.find_newer(home, "other") == []
    assert (generations.find(home, newer.name), generations.is_newer(home, newer.name)) == (None, True)


def test_gc_leaves_it_as_it_is(home: Home) -> None:
    newer, broken, old = make(home, KEY, NEWER), make(home, f"{KEY}.2", {"schema": 1}), make(home, f"{KEY}.3")
    before = (newer / MARKER).read_bytes()
    with registry.change(home) as records:
        records["other"] = Record(environment="other")
    assert {each.path for each in gc.collect(home)} == {broken, old}
    assert (newer / MARKER).read_bytes() == before
    assert (newer / "module.py").exists()
