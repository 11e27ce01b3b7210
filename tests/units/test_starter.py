"""What a daemon is told at its start, and what it replies: lines in pieces, after one another, broken off, and nobody there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from nectar.protocol import MAX_LINE, Assignment, encode
from nectar.runtime.daemon.beginning import read_assignment
from nectar.runtime.daemon.loop import Loop
from nectar.runtime.daemon.starter import Starter
from tests.units.machines import LOADING, Looking

if TYPE_CHECKING:
    from collections.abc import Iterator

ASSIGNMENT = Assignment(name="h", data_dir="/d", loading=LOADING)
LINE = encode(ASSIGNMENT.to_mapping())
TAKE, SERVE = encode({"do": "take"}), encode({"do": "serve"})


class Talk:
    """:ivar told: the orders that came, and that whoever gave them is gone."""

    def __init__(self) -> None:
        self.orders, self._write = os.pipe()
        self._read, self.replies = os.pipe()
        self._open = {self.orders, self._write, self._read, self.replies}
        self.told: list[str] = []
        self.faults: list[Exception] = []
        self.loop = Loop(selector=Looking())
        self.loop.faulted = self.faults.append

    def start(self) -> Starter:
        return Starter(self.loop, self.told.append, lambda: self.told.append("gone"), self.orders, self.replies)

    def say(self, what: bytes) -> None:
        os.write(self._write, what)

    def hear(self) -> bytes:
        return os.read(self._read, 65536)

    def hang_up(self) -> None:
        self.close(self._write)

    def stop_hearing(self) -> None:
        self.close(self._read)

    def close(self, *descriptors: int) -> None:
        for descriptor in descriptors or [*self._open]:
            os.close(descriptor)
            self._open.remove(descriptor)


@pytest.fixture
def talk() -> Iterator[Talk]:
    made = Talk()
    yield made
    made.close()


# --- the first line


def test_the_assignment_is_the_first_line(talk: Talk) -> None:
    talk.say(LINE)
    assert read_assignment(talk.orders) == ASSIGNMENT


@pytest.mark.parametrize("begun", [b"", LINE[:-1]])
def test_where_nobody_says_it_to_its_end_there_is_none(talk: Talk, begun: bytes) -> None:
    talk.say(begun)
    talk.hang_up()
    assert read_assignment(talk.orders) is None


def test_one_without_an_end_is_none(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def go_on(_descriptor: int, size: int) -> bytes:
        read.append(size)
        return b"x" * size

    monkeypatch.setattr(os, "read", go_on)
    assert read_assignment(talk.orders) is None
    assert MAX_LINE <= sum(read) < 2 * MAX_LINE


@pytest.mark.parametrize("line", [b"x\n", b"[]\n", LINE.replace(b'"schema": 1', b'"schema": 2')])
def test_what_is_no_message_of_this_version_is_refused(talk: Talk, line: bytes) -> None:
    talk.say(line)
    with pytest.raises(ValueError, match=r"."):
        read_assignment(talk.orders)


# --- orders


@pytest.mark.parametrize("size", [1, 5, len(TAKE), len(TAKE) + 1, 1000])
def test_orders_may_come_in_pieces_of_any_size(talk: Talk, size: int) -> None:
    talk.start()
    whole = TAKE + SERVE
    for begin in range(0, len(whole), size):
        talk.say(whole[begin : begin + size])
        talk.loop.turn()
    assert talk.told == ["take", "serve"]
    assert talk.faults == []


def test_one_without_its_newline_is_waited_for(talk: Talk) -> None:
    talk.start()
    talk.say(TAKE[:-1])
    talk.loop.turn()
    assert talk.told == []
    talk.hang_up()
    talk.loop.turn()
    assert talk.told == ["gone"]


def test_who_goes_is_told_of_once_and_after_what_he_said(talk: Talk) -> None:
    talk.start()
    talk.say(TAKE)
    talk.hang_up()
    for _ in range(3):
        talk.loop.turn()
    assert talk.told == ["take", "gone"]


@pytest.mark.parametrize("line", [b"x\n", b"{}\n", encode({"say": "take"})])
def test_what_is_no_order_is_a_fault(talk: Talk, line: bytes) -> None:
    talk.start()
    talk.say(line)
    talk.loop.turn()
    assert talk.told == []
    assert [isinstance(error, (ValueError, KeyError)) for error in talk.faults] == [True]


def test_it_waits_for_nothing_where_nothing_came(talk: Talk) -> None:
    starter = talk.start()
    starter._read(0)
    assert talk.told == []


# --- replies


def test_a_reply_is_a_line_of_this_version(talk: Talk) -> None:
    talk.start().say({"state": "loaded", "warnings": []})
    line = talk.hear()
    assert line.endswith(b"\n")
    assert json.loads(line) == {"schema": 1, "state": "loaded", "warnings": []}


def test_a_reply_to_nobody_is_none(talk: Talk) -> None:
    starter = talk.start()
    talk.stop_hearing()
    starter.say({"state": "loaded"})
    assert talk.faults == []
