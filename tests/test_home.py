"""The map of the disk, and what may be a name on it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar.errors import NotFoundError, UsageError
from nectar.home import Home, check_alias, check_name


@pytest.mark.parametrize("name", ["a", "Z9", "sentiment_v1", "my-handler", "0.1", "a" * 64, "a.b.c"])
def test_names_of_handlers(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "../evil", "a/b", "a..b", "-a", "_a", "a" * 65, "a b", "a\n", "ä", "a\0", "٣"])
def test_what_is_no_name_of_a_handler(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_name(name)
    assert raised.value.hint


@given(st.text())
def test_a_name_that_passes_is_one_file_in_its_directory(name: str) -> None:
    home = Home(Path("/data"))
    try:
        check_name(name)
    except UsageError:
        return
    for path, parent in ((home.socket(name), home.handlers), (home.lock(name), home.handlers), (home.log(name), home.logs)):
        assert path.parent == parent
        assert path.name.startswith(name)


@pytest.mark.parametrize("alias", ["alice", "Alice B.", "ä", "-", "a..b", "…"])
def test_aliases(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize("alias", ["", ".", "..", "nectar", "a/b", "../alice", "a\n", "a\0b", "a\x1b[31m", "ä" * 128])
def test_what_is_no_alias(alias: str) -> None:
    with pytest.raises(UsageError):
        check_alias(alias)


@given(st.text())
def test_an_alias_that_passes_lies_in_the_data_dir(alias: str) -> None:
    home = Home(Path("/data"))
    try:
        directory = home.computations(alias)
    except UsageError:
        return
    assert directory.relative_to("/data").parts == (alias, "data", "computation")
    assert directory.parents[2] == home.data_dir


def test_the_data_dir_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert Home.at("sandbox").data_dir == tmp_path / "sandbox"
    assert Home.at("~/world").data_dir == tmp_path / "me" / "world"
    assert Home.at(None).data_dir == tmp_path / "me" / ".bee-hive"


def test_what_is_made_is_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "world")
    home.create()
    home.create()
    for directory in (home.nectar, home.handlers, home.logs, home.builds, home.envs, home.resolutions, home.runtimes):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_data_dir_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as raised:
        Home(tmp_path / "file" / "world").create()
    assert str(tmp_path / "file") in (raised.value.where or "")
    assert "--data-dir" in (raised.value.hint or "")


def test_an_alias_that_is_not_there_is_told_with_the_way_to_make_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(NotFoundError) as raised:
        home.require_alias("alice")
    assert raised.value.hint
    assert f"mkdir -p {tmp_path / 'alice' / 'data' / 'computation'}" in raised.value.hint
    home.computations("alice").mkdir(parents=True)
    assert home.require_alias("alice") == home.computations("alice")


def test_the_aliases_that_exist(tmp_path: Path) -> None:
    home = Home(tmp_path / "world")
    assert home.aliases() == []
    for alias in ("bob", "alice"):
        home.computations(alias).mkdir(parents=True)
    (home.nectar / "data" / "computation").mkdir(parents=True)
    (home.data_dir / "empty").mkdir()
    assert home.aliases() == ["alice", "bob"]
