"""A daemon looks after what is its own: it makes its socket and its log anew, and ends where its name is not its own any more."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import address
from nectar.errors import UnresponsiveError
from nectar.home import Home
from nectar.locks import is_free
from nectar.namelock import NameLock
from tests import needs
from tests.runtime.conftest import Node, Running
from tests.world import World, paused, processes, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


pytestmark = pytest.mark.once


@pytest.fixture
def victim(chameleon: Running) -> Running:
    """The handler, started again where the test before ended it, and attached to ``node1``."""
    chameleon.world.node("node1")
    if chameleon.world.json("view")["handlers"][0]["status"] != "running":
        chameleon.world.run("start", chameleon.name)
    chameleon.world.run("attach", chameleon.name, "node1")
    return chameleon


@pytest.fixture
def alone(world: World) -> Running:
    """One in a data dir of its own."""
    source = world.directory / "chameleon.py"
    shutil.copy(Path(__file__).with_name("chameleon.py"), source)
    world.node("node1")
    world.run("launch", source, "--attach", "node1")
    return Running(world, source)


def until_ended(victim: Running) -> None:
    until(lambda: not processes(victim.world.directory), "nothing of it is left")


def listening(victim: Running) -> int | None:
    """The PID of who answers at its socket. Nobody does for a moment after it was made."""
    try:
        pid: int = victim.status()["pid"]
    except UnresponsiveError:
        return None
    return pid


def notice_and_end(victim: Running, rob: Callable[[Home, str], object]) -> None:
    """Rob it, and see that it ends in order and says why."""
    with victim.home.log(victim.name).open() as log:
        log.seek(0, os.SEEK_END)
        with paused(victim.daemon):
            rob(victim.home, victim.name)
        until_ended(victim)
        told = log.read()
    assert "so it stops" in told
    assert told.endswith("stopped\n")


def node1(home: Home) -> Node:
    return Node("node1", home.computations("node1"))


def replace(path: Path) -> None:
    aside = path.with_suffix(".aside")
    aside.touch()
    aside.rename(path)


def some_of(ways: Iterable[str], *some: str) -> list[object]:
    """Ways in which something goes; a daemon sees it in the same way whatever the system has, so that some will do where that is little."""
    return [way if way in some else pytest.param(way, marks=pytest.mark.anywhere) for way in ways]


LOCKS: dict[str, Callable[[Home, str], object]] = {
    "lock removed": lambda home, name: home.lock(name).unlink(),
    "lock moved": lambda home, name: home.lock(name).rename(home.nectar / "elsewhere"),
    "lock replaced": lambda home, name: replace(home.lock(name)),
    "handlers removed": lambda home, _: shutil.rmtree(home.handlers),
}


@pytest.mark.parametrize("how", some_of(LOCKS, "handlers removed"))
def test_without_its_lock_it_ends_in_order(victim: Running, how: str) -> None:
    notice_and_end(victim, LOCKS[how])
    record = victim.world.json("view")["handlers"][0]
    assert (record["status"], record["desired"]) == ("stopped", "running")
    victim.world.run("start", victim.name)
    assert node1(victim.home).ask("number 1")["result"] == {"value": 1}


PLACES: dict[str, Callable[[Home, str], object]] = {
    "nectar removed": lambda home, _: shutil.rmtree(home.nectar),
    "data dir removed": lambda home, _: shutil.rmtree(home.data_dir),
    "data dir replaced": lambda home, _: shutil.copytree(
        home.data_dir.rename(home.data_dir.with_name("moved")) / "node1", home.data_dir
    ),
}


@pytest.mark.parametrize("how", some_of(PLACES, "data dir removed", "data dir replaced"))
def test_without_its_place_it_ends_in_order(alone: Running, how: str) -> None:
    notice_and_end(alone, PLACES[how])


def test_a_directory_may_be_replaced_by_a_link_to_where_it_went(victim: Running) -> None:
    place = victim.home.handlers
    daemon = victim.daemon
    moved = place.rename(place.with_name("moved"))
    place.symlink_to(moved)
    victim.home.socket(victim.name).unlink()
    until(lambda: listening(victim) == daemon, "it has looked after its own")
    place.unlink()
    moved.rename(place)


def test_what_runs_when_the_lock_goes_is_answered(victim: Running) -> None:
    node = node1(victim.home)
    node.put("running", "sleep 2")
    node.until_claimed("running")
    victim.home.lock(victim.name).unlink()
    assert node.answer("running")["status"] == "success"
    until_ended(victim)
    assert node.left() == []


def test_a_data_dir_that_was_moved_is_served_again_at_its_new_place(alone: Running) -> None:
    """Also what ran when it was moved is answered there."""
    node1(alone.home).put("running", "sleep 2")
    node1(alone.home).until_claimed("running")
    moved = Home(alone.home.data_dir.with_name("moved"))
    alone.home.data_dir.rename(moved.data_dir)
    assert node1(moved).answer("running")["status"] == "success"
    until_ended(alone)
    alone.world.home = moved
    assert alone.world.json("view")["handlers"][0]["desired"] == "running"
    alone.world.run("start", alone.name)
    assert node1(moved).ask("number 2")["result"] == {"value": 2}


@contextmanager
def another(victim: Running) -> Iterator[None]:
    """The name's lock, held by somebody else, whose socket is beside it."""
    lock, place = victim.home.lock(victim.name), victim.home.socket(victim.name)
    with ExitStack() as stack:
        with paused(victim.daemon):
            lock.unlink()
            place.unlink()
            address.bind(stack.enter_context(socket.socket(socket.AF_UNIX)), place)
            fcntl.flock(stack.enter_context(lock.open("w")), fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("stopping", [False, pytest.param(True, marks=pytest.mark.anywhere)])
def test_to_another_daemon_with_its_name_it_leaves_all_at_once(victim: Running, *, stopping: bool) -> None:
    """It may not even finish what it runs, because the other one waits for its aliases; that is run again there."""
    node = node1(victim.home)
    node.put("running", "sleep 600", deadline=900)
    node.until_claimed("running")
    if stopping:
        beginning = victim.world.begin("stop", victim.name, "--timeout", "600")
        victim.until_logged("stopping")
        beginning.send_signal(signal.SIGKILL)
    with another(victim):
        until_ended(victim)
        assert victim.home.socket(victim.name).exists()
    claims = node.directory / ".nectar"
    assert [path.name for path in claims.iterdir() if path.name.startswith("running.")] != []
    descriptor = os.open(claims, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    for path in claims.glob("running.*"):
        path.unlink()


@pytest.fixture
def blind(victim: Running) -> Running:
    """One that cannot notice that its lock and its socket are gone."""
    os.kill(victim.daemon, signal.SIGSTOP)
    victim.home.socket(victim.name).unlink()
    victim.home.lock(victim.name).unlink()
    return victim


@needs.proc
def test_a_stop_ends_one_whose_lock_is_gone(blind: Running) -> None:
    assert "Handler stopped" in blind.world.run("stop", blind.name, "--timeout", "1").stdout
    assert not processes(blind.home.data_dir)
    assert blind.world.json("view")["handlers"][0]["status"] == "stopped"
    blind.world.run("stop", blind.name, code=4)


@needs.proc
def test_one_whose_lock_is_gone_is_shown_as_what_it_is(blind: Running) -> None:
    (shown,) = blind.world.json("view")["handlers"]
    assert (shown["status"], shown["desired"]) == ("running", "running")
    assert "lock was removed" in shown["failing"]
    assert "lock was removed" in blind.world.run("view", blind.name).stdout
    assert "lock was removed" in blind.world.run("doctor", code=None).stdout
    assert "is running" in blind.world.run("remove", blind.name, code=4).stderr
    blind.world.run("stop", blind.name, "--timeout", "1")


@needs.proc
@pytest.mark.parametrize("verb", ["start", "restart"])
def test_a_start_ends_one_whose_lock_is_gone(blind: Running, verb: str) -> None:
    old = set(processes(blind.world.directory))
    blind.world.run(verb, blind.name)
    assert not old & set(processes(blind.world.directory))
    assert node1(blind.home).ask("number 1")["result"] == {"value": 1}


@pytest.mark.anywhere
def test_a_daemon_without_a_record_is_named(victim: Running) -> None:
    whole = (victim.home.registry, victim.home.registry_before)
    aside = [path.rename(path.with_suffix(".aside")) for path in whole]
    assert f"kill {victim.daemon}" in victim.world.run("doctor", code=None).stdout
    assert f"kill {victim.daemon}" in victim.world.run("launch", victim.source, code=4).stderr
    for path, place in zip(aside, whole, strict=True):
        path.rename(place)


MISSING: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("moved")),
    "replaced": replace,
}


@pytest.mark.parametrize("how", some_of(MISSING, "replaced"))
def test_the_socket_is_made_anew(victim: Running, how: str) -> None:
    path = victim.home.socket(victim.name)
    before = path.lstat().st_ino
    MISSING[how](path)
    until(lambda: path.is_socket() and path.lstat().st_ino != before, "there is a new one")
    assert victim.status()["pid"] == victim.daemon
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", some_of([*MISSING, "with its directory"], "with its directory"))
def test_the_log_is_made_anew(victim: Running, how: str) -> None:
    node = node1(victim.home)
    path = victim.home.log(victim.name)
    if how == "with its directory":
        with paused(victim.daemon):
            shutil.rmtree(path.parent)
    else:
        MISSING[how](path)
    victim.until_logged("made anew")
    before = victim.log().count("here again")
    node.ask("speak here again")
    until(lambda: victim.log().count("here again") == before + 3, "the log goes on")
    assert "here again" in victim.world.run("logs", victim.name, "--no-follow").stdout
    assert "here again" in victim.world.run("logs", victim.name, "--no-follow", "--json").stdout
    assert how == "replaced" or not path.stat().st_mode & 0o077
    assert not path.parent.stat().st_mode & 0o077


def test_a_log_that_is_emptied_in_place_goes_on(victim: Running) -> None:
    node = node1(victim.home)
    os.truncate(victim.home.log(victim.name), 0)
    node.ask("speak here again")
    victim.until_logged("here again")
    assert "\0" not in victim.log()
    assert "made anew" not in victim.log()


def test_a_pipe_in_the_place_of_the_log_holds_nobody_up(victim: Running) -> None:
    node = node1(victim.home)
    path = victim.home.log(victim.name)
    with paused(victim.daemon):
        moved = path.rename(path.with_name("moved"))
        os.mkfifo(path)
    until(lambda: "cannot be made anew" in moved.read_text(), "it is told where the log was")
    assert node.ask("number 1")["result"] == {"value": 1}
    path.unlink()
    until(path.exists, "there is a log again")


def test_a_lock_is_missed_only_where_it_is_known_to_be_gone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "h.lock"
    path.parent.mkdir(parents=True)
    lock = NameLock(path, 1.5)
    assert lock.loss() is None
    assert json.loads(path.read_bytes())["started"] == 1.5
    assert lock.is_another_daemons()  # as who has lost it would see it
    path.parent.rename(tmp_path / "a" / "c")
    assert lock.loss() == f"{path.parent} is gone"
    assert not lock.is_another_daemons()
    path.parent.symlink_to(path.parent)  # nobody can tell
    assert lock.loss() is None
    path.parent.unlink()
    path.parent.mkdir()
    path.touch()
    assert lock.loss() == f"{path} is another file by now"
    assert not is_free(tmp_path / "a" / "c" / "h.lock")
