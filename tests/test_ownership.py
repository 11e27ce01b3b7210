"""Whose a data dir is, and what may lie in it where nectar's own files have their places."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from nectar import ownership
from nectar.errors import ConflictError, NectarError, NotFoundError
from nectar.home import Home

NOBODY = 65534
INSIDE = [
    "handlers",
    "logs",
    "builds",
    "envs",
    "envs/.locks",
    "resolutions",
    "digests",
    "uv-cache",
    "runtime",
    "handlers.json",
    "registry.lock",
]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "world")
    made.create()
    return made


def test_what_is_not_there_yet_is_no_reason_against_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "world")
    ownership.check(home)
    assert not home.data_dir.exists()
    home.data_dir.mkdir()
    ownership.check(home)
    home.nectar.mkdir(mode=0o700)
    ownership.check(home)
    home.create()
    ownership.check(home)


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770, 0o777, 0o1777, 0o2710])
def test_what_is_open_to_others_is_refused_with_the_cure(home: Home, mode: int) -> None:
    home.nectar.chmod(mode)
    for look in (partial(ownership.check, home), home.create):
        with pytest.raises(ConflictError, match="open to others") as raised:
            look()
        assert f"{mode:04o}" in (raised.value.where or "")
        assert f"chmod 700 {home.nectar}" in (raised.value.hint or "")
        assert ("Look whether" in (raised.value.hint or "")) is bool(mode & 0o022)
    assert home.nectar.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("mode", [0o700, 0o2700, 0o1700])
def test_what_is_closed_to_others_is_not(home: Home, mode: int) -> None:
    home.nectar.chmod(mode)
    home.create()


@pytest.mark.parametrize("place", ["", *INSIDE])
def test_links_below_the_data_dir_are_refused(tmp_path: Path, place: str) -> None:
    """Also those that lead to something of ours, or nowhere."""
    home = Home(tmp_path / "world")
    for target in (tmp_path / "elsewhere", tmp_path / "nowhere"):
        path = home.nectar / place
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.nectar.chmod(0o700) if place else None
        (tmp_path / "elsewhere").mkdir(mode=0o700, exist_ok=True)
        path.symlink_to(target)
        for look in (partial(ownership.check, home), home.create):
            with pytest.raises(ConflictError, match="link") as raised:
                look()
            assert raised.value.where == f"{path} -> {target}"
        path.unlink()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_data_dir_itself_may_be_a_link(home: Home, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("world")
    ownership.check(Home(tmp_path / "link"))
    Home(tmp_path / "link").create()


@pytest.mark.parametrize("make", [False, True], ids=["look", "make"])
def test_a_data_dir_on_a_disk_that_is_not_mounted_is_not_an_empty_one(tmp_path: Path, *, make: bool) -> None:
    """Also the one that nobody named: ``view`` showed no handler, as if all were well, and ``launch`` said "File exists"."""
    home = Home(tmp_path / "link")
    home.data_dir.symlink_to(tmp_path / "disk" / "world")
    with pytest.raises(NotFoundError, match="a link to what is not there") as raised:
        home.create() if make else ownership.check(home)
    assert raised.value.where == f"{home.data_dir} -> {tmp_path / 'disk' / 'world'}"
    (tmp_path / "disk" / "world").mkdir(parents=True)
    home.create()


@pytest.mark.parametrize("place", [".", "nectar", *(f"nectar/{each}" for each in INSIDE)])
def test_something_else_in_its_place(tmp_path: Path, place: str) -> None:
    home = Home(tmp_path / "world")
    path = home.data_dir / place
    for make in (os.mkfifo, Path.mkdir) if path in (home.registry, home.registry_lock) else (os.mkfifo, Path.touch):
        path.parent.mkdir(parents=True, exist_ok=True)
        home.nectar.chmod(0o700) if home.nectar.is_dir() else None
        make(path)
        for look in (partial(ownership.check, home), home.create):
            with pytest.raises(NotFoundError) as raised:
                look()
            assert raised.value.where == str(path)
        path.rename(tmp_path / make.__name__)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", ["", *INSIDE])
def test_somebody_elses_is_refused_with_who_that_is(home: Home, place: str) -> None:
    for file in (home.registry, home.registry_lock):
        file.touch()
    home.env_locks.mkdir()
    home.uv_cache.mkdir()
    os.chown(home.nectar / place, 12345, -1)
    with pytest.raises(ConflictError, match="another user") as raised:
        ownership.check(home)
    assert raised.value.where == f"{home.nectar / place}, of #12345"
    assert "sudo -u '#12345' nectar" in (raised.value.hint or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_as_somebody_else(home: Home) -> None:
    """What is root's inside one's own directory is no reason: root may do anything there."""
    os.chown(home.nectar, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        for parent in home.data_dir.parents:
            if not os.access(parent, os.X_OK, effective_ids=True):
                with pytest.raises(ConflictError, match="cannot be looked at"):
                    ownership.check(home)
                return
        ownership.check(home)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_files_are_opened_through_no_link_and_without_waiting(tmp_path: Path, what: str) -> None:
    path = tmp_path / "file"
    (tmp_path / "secret").write_text("secret")
    if what == "pipe":
        os.mkfifo(path)
        assert ownership.read(path) == b""
        return
    path.symlink_to("secret")
    with pytest.raises(OSError, match="symbolic links"):
        ownership.read(path)


def test_it_is_told_as_a_conflict_that_a_link_was_met() -> None:
    from nectar.errors import from_system

    error = from_system(OSError(40, os.strerror(40), "/x"))
    assert isinstance(error, NectarError)
    assert error.exit_code == ConflictError.exit_code
