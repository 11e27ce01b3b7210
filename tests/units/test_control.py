"""The control socket: what a client may send and how long it may take, how many there may be, and the socket's place on disk."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from nectar import address, features
from nectar.protocol import MAX_LINE, SCHEMA
from nectar.runtime.daemon.control import MAX_CLIENTS, Control
from nectar.runtime.daemon.loop import Loop
from tests.units.machines import Clock, Looking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Reply = Callable[[dict[str, Any]], None]


NOBODY = 65534


class House:
    """A control socket, its clock, and its clients. A request ``later`` gets its reply from the test."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.loop = Loop(self.clock, Looking())
        self.path = directory / "s"
        self.asked: list[dict[str, Any]] = []
        self.replies: list[Reply] = []
        self.control = Control(self.loop, self.path, self._handle)
        self.clients: list[socket.socket] = []

    def _handle(self, request: dict[str, Any], reply: Reply) -> None:
        self.asked.append(request)
        match request["do"]:
            case "later":
                self.replies.append(reply)
            case "much":
                reply({"ok": True, "text": "x" * (1 << 22)})
            case "fail":
                raise OSError("no disk")
            case "fault":
                raise MemoryError
            case _:
                reply({"ok": True})

    def go(self, seconds: float = 0) -> None:
        self.clock.now += seconds
        for _ in range(4):
            self.loop.turn()

    def come(self, what: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        self.clients.append(client)
        address.connect(client, self.path)
        client.setblocking(False)
        if what:
            client.sendall(what)
        self.go()
        return client


def line(do: str) -> bytes:
    return json.dumps({"schema": SCHEMA, "do": do}).encode() + b"\n"


def said(client: socket.socket) -> bytes | None:
    """What came; None where nothing did, and ``b""`` where it was closed."""
    try:
        return client.recv(1 << 23)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""


def reply_to(client: socket.socket) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(said(client) or b"")
    assert said(client) == b"", "one reply a connection"
    return read


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    for client in made.clients:
        client.close()
    for reply in made.replies:
        reply({})
    made.control.close()
    made.go(60)


# --- one request and one reply


def test_one_request_has_one_reply_and_then_it_is_closed(house: House) -> None:
    client = house.come(line("list"))
    assert reply_to(client) == {"schema": SCHEMA, "ok": True}
    assert house.asked == [{"schema": SCHEMA, "do": "list"}]


def test_a_request_may_come_byte_by_byte(house: House) -> None:
    client = house.come()
    for byte in line("list"):
        client.send(bytes([byte]))
        house.go()
    assert reply_to(client)["ok"] is True
    assert len(house.asked) == 1


@pytest.mark.parametrize(
    "what",
    [b"\n", b"x\n", b"[]\n", b"{}\n", b'{"schema": 999, "do": "list"}\n', b"\xff\n", b"[" * 100_000 + b"\n", line("a") + line("b")],
)
def test_what_is_no_request_is_told_so(house: House, what: bytes) -> None:
    reply = reply_to(house.come(what))
    assert reply["ok"] is False
    assert reply["message"].startswith("The request cannot be understood (")
    assert house.asked == []


def test_what_fails_in_a_request_is_told_and_the_next_one_is_answered(house: House) -> None:
    assert reply_to(house.come(line("fail")))["message"] == "The request cannot be understood (no disk)."
    assert reply_to(house.come(line("list")))["ok"] is True


def test_a_fault_closes_that_client_alone(house: House) -> None:
    told: list[Exception] = []
    house.loop.faulted = told.append
    other = house.come(line("later"))
    assert said(house.come(line("fault"))) == b""
    assert [type(error) for error in told] == [MemoryError]
    house.replies[0]({"ok": True})
    assert reply_to(other)["ok"] is True


@pytest.mark.parametrize(("size", "closed"), [(MAX_LINE, False), (MAX_LINE + 1, True)])
def test_a_line_may_have_a_mebibyte(house: House, size: int, closed: bool) -> None:
    client = house.come()
    rest = b"x" * size
    while rest:
        try:
            rest = rest[client.send(rest) :]
        except BlockingIOError:
            pass
        house.go()
    for _ in range(10):
        house.go()
    assert said(client) == (b"" if closed else None)


def test_who_goes_before_the_reply_is_no_fault(house: House) -> None:
    house.come(line("later")).close()
    house.go()
    house.replies[0]({"ok": True})
    house.go(60)
    assert reply_to(house.come(line("list")))["ok"] is True


# --- times


@pytest.mark.parametrize("begun", [b"", b'{"schema"'])
def test_a_request_must_have_come_within_five_seconds(house: House, begun: bytes) -> None:
    client = house.come()
    house.go(4)
    if begun:
        client.send(begun)
    house.go(0.99)
    assert said(client) is None
    house.go(0.01)
    assert said(client) == b""


def test_a_reply_may_take_long(house: House) -> None:
    client = house.come(line("later"))
    house.go(3600)
    assert said(client) is None
    house.replies[0]({"ok": True})
    assert reply_to(client)["ok"] is True


def test_a_reply_must_have_been_read_within_five_seconds(house: House) -> None:
    slow, slower = house.come(line("much")), house.come(line("much"))
    house.go(4.9)
    size = 0
    for _ in range(200):
        size += len(said(slow) or b"")
        house.go()
    assert size == (1 << 22) + len(json.dumps({"schema": SCHEMA, "ok": True, "text": ""})) + 1
    house.go(0.1)
    size = 0
    while piece := said(slower):
        size += len(piece)
    assert 0 < size < 1 << 22


# --- numbers


def test_the_one_that_is_silent_for_longest_makes_room(house: House) -> None:
    asking = house.come(line("later"))
    silent = [house.come() for _ in range(MAX_CLIENTS - 1)]
    assert [said(client) for client in silent] == [None] * 63
    assert reply_to(house.come(line("list")))["ok"] is True
    assert [said(client) for client in silent] == [b""] + [None] * 62
    house.come()
    house.come()
    assert [said(client) for client in silent[1:]] == [b""] + [None] * 61
    assert said(asking) is None


def test_where_all_wait_for_a_reply_there_is_no_room_for_another(house: House) -> None:
    waiting = [house.come(line("later")) for _ in range(MAX_CLIENTS)]
    assert said(house.come()) == b""
    house.replies[0]({"ok": True})
    assert reply_to(waiting[0])["ok"] is True
    assert reply_to(house.come(line("list")))["ok"] is True


def test_who_hung_up_while_it_waited_makes_room(house: House) -> None:
    waiting = [house.come(line("later")) for _ in range(MAX_CLIENTS)]
    waiting[7].close()
    house.go()
    assert reply_to(house.come(line("list")))["ok"] is True
    assert said(house.come(line("later"))) is None  # in the place that the last one left
    assert said(house.come(line("list"))) == b""
    for number, reply in enumerate(house.replies):
        reply({"ok": True})
        assert number in (7, MAX_CLIENTS) or reply_to(waiting[number])["ok"] is True


def test_who_closes_its_own_way_or_says_more_gets_its_reply_all_the_same(house: House) -> None:
    quiet, loud = house.come(line("later")), house.come(line("later"))
    quiet.shutdown(socket.SHUT_WR)
    loud.send(b"x" * 1000)
    house.go()
    house.go(3600)
    for reply in house.replies:
        reply({"ok": True, "text": "x" * (1 << 20)})
    for client in (quiet, loud):
        size = 0
        for _ in range(50):
            size += len(said(client) or b"")
            house.go()
        assert size > 1 << 20


def test_its_end_is_the_end_of_all_who_wait(house: House) -> None:
    silent, waiting, slow = house.come(), house.come(line("later")), house.come(line("much"))
    house.control.close()
    assert said(silent) == said(waiting) == b""
    while (piece := said(slow)) != b"":
        assert piece is not None
    house.replies[0]({"ok": True})
    house.go(60)
    with pytest.raises(FileNotFoundError):
        house.path.stat()


def test_without_a_descriptor_it_listens_again_half_a_second_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def fail(_self: socket.socket) -> None:
        tries.append(house.clock.now)
        raise OSError(24, "too many")

    with monkeypatch.context() as failing:
        failing.setattr(socket.socket, "accept", fail)
        client = house.come(line("list"))
        house.go(0.49)
        assert tries == [1024]
        house.go(0.01)
        assert tries == [1024, 1024.5]
    house.go(0.49)
    assert said(client) is None
    house.go(0.02)
    assert reply_to(client)["ok"] is True


# --- whose clients


@contextmanager
def somebody_else() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not tell who is at the other side")
def test_another_user_is_sent_away_unread_and_root_is_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.path.parent.chmod(0o755)
    house.path.chmod(0o666)  # somebody has opened it to all
    monkeypatch.chdir(house.path.parent)
    with socket.socket(socket.AF_UNIX) as stranger, socket.socket(socket.AF_UNIX) as root:
        with somebody_else():
            stranger.connect(house.path.name)
            stranger.send(line("list"))
        house.go()
        assert said(stranger) == b""
        assert house.asked == []
        root.connect(house.path.name)
        root.send(line("list"))
        with somebody_else():  # whose daemon it is now
            house.go()
        assert reply_to(root)["ok"] is True


# --- its place


def test_it_is_this_users_alone(house: House) -> None:
    assert stat.S_IMODE(house.path.stat().st_mode) == 0o600


def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    left = House(tmp_path)
    made = House(tmp_path)
    left.control.close()  # the name is the other's by now
    assert made.path.is_socket()
    assert made.control.keep() is False
    made.control.close()
    assert not made.path.exists()


def test_it_comes_to_its_place_when_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or who finds it there before that would be refused."""
    found: list[bool] = []
    bind = address.bind

    def look(unix: socket.socket, path: Path) -> None:
        bind(unix, path)
        found.append((tmp_path / "s").exists())

    monkeypatch.setattr(address, "bind", look)
    made = House(tmp_path)
    made.path.unlink()
    assert made.control.keep() is True
    assert found == [False, False]
    assert [*tmp_path.iterdir()] == [made.path]
    made.control.close()


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
def test_one_whose_socket_is_taken_away_makes_it_anew(house: House, how: str) -> None:
    waiting = house.come(line("later"))
    match how:
        case "removed":
            house.path.unlink()
        case "moved":
            house.path.rename(house.path.with_name("moved"))
        case "replaced":
            house.path.rename(house.path.with_name("moved"))
            house.path.write_text("")
    assert house.control.keep() is True
    assert house.control.keep() is False
    assert reply_to(house.come(line("list")))["ok"] is True
    house.replies[0]({"ok": True})
    assert reply_to(waiting)["ok"] is True


@pytest.mark.parametrize("proc", [True, False])
def test_one_with_a_long_path_is_made_and_made_anew_beside_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proc: bool
) -> None:
    if not proc:
        monkeypatch.setattr(features, "PROC", str(tmp_path / "none"))
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    made = House(directory)
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, args=[60])
    thread.start()
    try:
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        assert reply_to(made.come(line("list")))["ok"] is True
        made.path.unlink()
        assert made.control.keep() is True
        assert made.control.keep() is False
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        assert reply_to(made.come(line("list")))["ok"] is True
        made.path.unlink()
        directory.rename(tmp_path / "moved")
        with pytest.raises(FileNotFoundError):
            made.control.keep()
    finally:
        ended.set()
        thread.join()
        made.control.close()
        for client in made.clients:
            client.close()


def test_where_it_cannot_be_made_anew_the_old_one_goes_on(house: House) -> None:
    moved = house.path.with_name("moved")
    house.path.rename(moved)
    house.path.mkdir()
    with pytest.raises(OSError, match="s"):
        house.control.keep()
    assert {path.name for path in moved.parent.iterdir()} == {"moved", "s"}
    house.path.rmdir()
    moved.rename(house.path)
    assert house.control.keep() is False
    assert reply_to(house.come(line("list")))["ok"] is True
