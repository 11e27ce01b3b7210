"""The daemon's end of a worker's channel, byte by byte."""

from __future__ import annotations

import errno
from json import dumps
from typing import Any

import pytest

from nectar.runtime.daemon.workers.channel import Channel
from tests.units.machines import Machine, go, loop_of, started


class Connected:
    """A channel to a process; ``refused`` are headers for which ``received`` raises that exception."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.loop = loop_of(self.machine)
        spawned, self.process = started(self.machine)
        self.came: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.refused: Exception | None = None
        self.descriptor = spawned.channel
        self.channel = Channel(
            self.loop,
            self.machine,
            spawned.channel,
            self._received,
            lambda: self.told.append("closed"),
            lambda: self.told.append("broken"),
        )

    def _received(self, header: dict[str, Any]) -> None:
        if self.refused is not None:
            raise self.refused
        self.came.append(header)

    def says(self, *headers: object) -> None:
        for header in headers:
            self.machine.send(self.process, dumps(header))

    def go(self, seconds: float = 0) -> None:
        go(self.machine, self.loop, seconds)


@pytest.fixture
def connected() -> Connected:
    return Connected()


# --- frames


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 9, 11, 1 << 16])
def test_frames_may_come_in_pieces_of_any_size(connected: Connected, most: int) -> None:
    connected.machine.most = most
    headers: list[dict[str, Any]] = [{"do": "a"}, {}, {"do": "ü", "n": [1, None]}, {"do": "x" * 300}]
    connected.says(*headers)
    connected.go()
    assert connected.came == headers
    assert connected.told == []


def test_a_frame_of_which_the_last_byte_is_missing_is_waited_for(connected: Connected) -> None:
    connected.says({"do": "a"})
    last = connected.process.outbox.pop()
    connected.go(3600)
    assert connected.came == []
    connected.process.outbox.append(last)
    connected.go()
    assert connected.came == [{"do": "a"}]


@pytest.mark.parametrize(
    ("come", "broken"),
    [
        (b"\0\0\0\0\0\0\0\0", True),  # nothing is no object
        (b"\0\0\0\2\0\0\0\1", True),  # no body is expected
        (b"\0\x10\0\0\0\0\0\0", False),  # a mebibyte is waited for
        (b"\0\x10\0\1\0\0\0\0", True),
        (b"\0\0\0\2\0\0\0\0[]", True),
        (b"\0\0\0\1\0\0\0\0{", True),
        (b"\0\0\0\1\0\0\0\0\xff", True),
        (b"print", False),  # eight bytes say what it is
        (b"printed\n", True),
    ],
)
def test_what_is_no_frame_breaks_it(connected: Connected, come: bytes, broken: bool) -> None:
    connected.process.outbox += come
    connected.go()
    assert connected.told == (["broken"] if broken else [])
    assert (connected.descriptor in connected.machine.watched()) is not broken


@pytest.mark.parametrize("error", [ValueError(), KeyError(), TypeError()])
def test_a_frame_that_was_not_expected_breaks_it_and_no_further_one_is_looked_at(connected: Connected, error: Exception) -> None:
    connected.refused = error
    connected.says({"do": "a"}, {"do": "b"})
    connected.go()
    connected.refused = None
    connected.says({"do": "c"})
    connected.go()
    assert connected.channel.drain()
    assert connected.came == []
    assert connected.told == ["broken"]
    connected.channel.send({"do": "d"})
    assert connected.process.inbox == b""


# --- sending


@pytest.mark.parametrize("room", [1, 7, 8, 20, 99])
def test_what_there_is_no_room_for_is_sent_in_order_when_there_is(connected: Connected, room: int) -> None:
    connected.machine.room = 0
    bodies = [b"x" * 50, b"", b"y" * 5]
    for number, body in enumerate(bodies):
        connected.channel.send({"do": str(number)}, body)
    connected.go(10)
    assert connected.process.inbox == b""
    for _ in range(200):
        connected.machine.room = room
        connected.go()
    assert [connected.machine.receive(connected.process) for _ in range(4)] == [{"do": "0"}, {"do": "1"}, {"do": "2"}, None]
    assert not connected.channel.unread


def test_it_reads_while_it_cannot_write(connected: Connected) -> None:
    connected.machine.room = 3
    connected.channel.send({"do": "a"})
    connected.says({"do": "b"})
    connected.go()
    assert connected.came == [{"do": "b"}]


def test_closing_with_a_backlog_says_that_it_was_not_read(connected: Connected) -> None:
    connected.machine.room = 3
    connected.channel.send({"do": "a"})
    connected.channel.close()
    assert connected.channel.unread
    assert connected.machine.watched() == []
    connected.channel.send({"do": "b"})
    assert len(connected.process.inbox) == 3
    assert connected.told == []


# --- the other side's end


@pytest.mark.parametrize("unread", [False, True])
def test_the_other_side_may_have_read_all_when_it_ends_or_not(connected: Connected, unread: bool) -> None:
    connected.channel.send({"do": "a"})
    if not unread:
        connected.machine.receive(connected.process)
    connected.says({"do": "last"})
    connected.machine.end(connected.process, 0)
    connected.go()
    assert connected.came == [{"do": "last"}]
    assert connected.told == ["closed"]
    assert connected.channel.unread is unread
    assert connected.machine.watched() == []


def test_sending_to_who_has_ended_closes_it_once(connected: Connected) -> None:
    connected.machine.end(connected.process, 0)
    connected.channel.send({"do": "a"})
    connected.channel.send({"do": "b"})
    connected.go()
    assert connected.told == ["closed"]
    assert connected.channel.unread


def test_what_cannot_be_read_for_a_moment_is_read_a_twentieth_of_a_second_later(connected: Connected) -> None:
    connected.machine.unreadable = errno.ENOMEM
    connected.says({"do": "a"})
    connected.go()
    assert connected.machine.watched() == []
    assert not connected.channel.drain()
    connected.machine.unreadable = None
    connected.go(0.04)
    assert connected.came == []
    connected.go(0.02)
    assert connected.came == [{"do": "a"}]
    assert connected.told == []


def test_all_that_has_come_is_taken_at_a_drain_in_64_pieces_at_most(connected: Connected) -> None:
    connected.says(*[{"n": 1}] * 200)
    size = len(dumps({"n": 1})) + 8
    connected.machine.most = size
    assert connected.channel.drain()
    assert len(connected.came) == 64


def test_what_goes_on_writing_nonsense_after_a_worker_ended_is_not_read_for_ever(connected: Connected) -> None:
    """Its children may have its end of the channel, and flood it."""
    connected.process.outbox += b"x" * 100_000
    connected.machine.most = 100
    assert connected.channel.drain()
    assert len(connected.process.outbox) == 100_000 - 64 * 100
    assert connected.told == ["broken"]
