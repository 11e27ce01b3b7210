"""The daemon's end of a worker's channel, byte by byte, and what is let through of what its code prints, to the line and the second."""

from __future__ import annotations

import errno
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.protocol import Loading
from nectar.runtime.daemon.workers.channel import Channel, Printed
from tests.units.machines import Machine, go, loop_of

if TYPE_CHECKING:
    from nectar.runtime.daemon.workers.kernel import Spawned
    from tests.soak.machine import Process

LOADING = Loading(python="/", entry="a:b", handler="b", directory="/")


def started(machine: Machine) -> tuple[Spawned, Process]:
    spawned = machine.spawn(LOADING, Path("/start.py"), "token")
    return spawned, machine.processes[spawned.pid]


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


class Printing:
    """What a process prints, and what came of it, with the second."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.loop = loop_of(self.machine)
        spawned, self.process = started(self.machine)
        self.lines: list[str] = []
        self.at: list[float] = []
        self.dropped: list[tuple[float, int]] = []
        self.printed = Printed(
            self.loop, self.machine, spawned.printed, self._take, lambda count: self.dropped.append((self.machine.seconds, count))
        )

    def _take(self, lines: list[str]) -> None:
        self.lines += lines
        self.at += [self.machine.seconds] * len(lines)

    def prints(self, what: bytes, seconds: float = 0) -> None:
        self.process.printed += what
        go(self.machine, self.loop, seconds)


@pytest.fixture
def connected() -> Connected:
    return Connected()


@pytest.fixture
def printing() -> Printing:
    return Printing()


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


# --- lines


@pytest.mark.parametrize("most", [1, 2, 3, 5, 1 << 16])
def test_lines_may_come_in_pieces_of_any_size_and_characters_too(printing: Printing, most: int) -> None:
    printing.machine.most = most
    printing.prints("one\n\nzwölf €🐝\r\n".encode())
    assert printing.lines == ["one", "", "zwölf €🐝\r"]


def test_what_is_no_text_is_shown_as_such(printing: Printing) -> None:
    printing.prints(b"a\xffb\xe2\x82\n")
    assert printing.lines == ["a\ufffdb\ufffd"]


@pytest.mark.parametrize(
    ("size", "parts"), [(8191, [8191]), (8192, [8192]), (8193, [8192, 1]), (16384, [8192, 8192]), (20000, [8192, 8192, 3616])]
)
def test_a_line_of_more_than_8192_bytes_is_cut_while_it_comes(printing: Printing, size: int, parts: list[int]) -> None:
    printing.prints(b"x" * size)
    assert [len(line) for line in printing.lines] == parts[:-1]
    printing.prints(b"\n")
    assert [len(line) for line in printing.lines] == parts


def test_the_beginning_of_a_line_is_passed_on_after_a_second(printing: Printing) -> None:
    printing.prints(b"half", 0.6)
    printing.prints(b" and", 0.39)
    assert printing.lines == []
    printing.prints(b"", 0.02)
    assert printing.lines == ["half and"]
    assert printing.at == [1]
    printing.prints(b" more\n")
    assert printing.lines == ["half and", " more"]


def test_a_whole_line_begins_that_second_anew(printing: Printing) -> None:
    printing.prints(b"a", 0.6)
    printing.prints(b"\nb", 0.6)
    assert printing.lines == ["a"]
    printing.prints(b"", 1)
    assert printing.lines == ["a", "b"]
    assert printing.at == [0.6, 1.6]


@pytest.mark.parametrize(("count", "kept", "dropped"), [(2000, 2000, []), (2001, 2000, [1]), (5000, 2000, [3000])])
def test_2000_lines_a_second_are_kept_and_the_others_counted(printing: Printing, count: int, kept: int, dropped: list[int]) -> None:
    printing.prints(b"x\n" * count)
    assert len(printing.lines) == kept
    assert printing.dropped == []
    printing.prints(b"", 2)
    assert printing.dropped == [(1, missing) for missing in dropped]
    printing.prints(b"y\n" * 3000)
    assert len(printing.lines) == kept + 2000


def test_a_mebibyte_a_second_is_kept(printing: Printing) -> None:
    printing.prints((b"x" * 8191 + b"\n") * 200, 2)
    assert len(printing.lines) == 129  # the last one begins within it
    assert sum(map(len, printing.lines)) - 8191 < 1 << 20 < sum(map(len, printing.lines))
    assert printing.dropped == [(1, 71)]


def test_what_is_missing_is_told_before_the_lines_of_the_next_second(printing: Printing) -> None:
    printing.prints(b"x\n" * 2010, 0.5)
    printing.prints(b"x\n" * 5, 0.5)
    assert printing.dropped == [(1, 15)]
    printing.prints(b"y\n")
    assert printing.lines[2000:] == ["y"]


@pytest.mark.parametrize(("more", "told"), [(1, []), (100, []), (101, [(0, 1)]), (700, [(0, 600)])])
def test_of_what_was_dropped_the_last_100_lines_are_told_at_the_end(
    printing: Printing, more: int, told: list[tuple[float, int]]
) -> None:
    printing.prints(b"x\n" * 2000 + b"".join(b"%d\n" % number for number in range(more)))
    assert len(printing.lines) == 2000
    printing.printed.close()
    assert printing.lines[2000:] == [str(number) for number in range(max(0, more - 100), more)]
    assert printing.dropped == told


def test_at_the_end_all_that_came_is_told_an_unfinished_line_too(printing: Printing) -> None:
    printing.process.printed += b"one\ntwo"
    printing.printed.close()
    assert printing.lines == ["one", "two"]
    assert printing.machine.watched() == []


def test_who_ends_may_leave_an_unfinished_line_which_is_passed_on_after_the_second(printing: Printing) -> None:
    printing.process.printed += b"one\ntwo"
    printing.machine.end(printing.process, 0)
    go(printing.machine, printing.loop, 5)
    assert printing.lines == ["one", "two"]
    assert printing.at == [0, 1]


def test_what_cannot_be_read_for_a_moment_is_read_soon(printing: Printing) -> None:
    printing.machine.unreadable = errno.EMFILE
    printing.prints(b"a\n", 0.02)
    assert printing.machine.watched() == []
    printing.machine.unreadable = None
    printing.prints(b"", 0.02)
    assert printing.lines == []
    printing.prints(b"", 0.02)
    assert printing.at == [0.05]
