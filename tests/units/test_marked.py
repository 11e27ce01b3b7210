"""A worker's streams that say whose each piece is."""

from __future__ import annotations

import contextvars
import os
import select
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from nectar.runtime.worker.marked import Marked, whose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer


class Pieces(Marked):
    """:ivar pieces: what was written, each by a call of its own."""

    def __init__(self) -> None:
        super().__init__(1, "<stdout>")
        self.pieces: list[bytes] = []
        self._write = self._take

    def _take(self, _descriptor: int, data: ReadableBuffer) -> int:
        self.pieces.append(bytes(data))
        return len(self.pieces[-1])


@pytest.fixture
def stream() -> Iterator[Pieces]:
    token = whose.set(b"")
    yield Pieces()
    whose.reset(token)


def as_one(name: bytes, stream: Marked, *texts: bytes) -> None:
    """Write as a computation does."""

    def write() -> None:
        whose.set(name)
        for text in texts:
            stream.write(text)

    contextvars.copy_context().run(write)


def test_a_line_is_written_when_it_is_whole_and_by_one_call(stream: Pieces) -> None:
    as_one(b"alice a", stream, b"one ", b"two", b"\n", b"three")
    assert stream.pieces == [b"\x1ealice a\x1fone two\n\x1e\x1f"]
    stream.flush()
    assert stream.pieces[1:] == [b"\x1ealice a\x1fthree\x1e\x1f"]
    stream.flush()
    assert len(stream.pieces) == 2


def test_what_is_nobodys_is_written_as_it_is(stream: Pieces) -> None:
    stream.write(b"at the start \x1e\n")
    assert stream.pieces == [b"at the start \x1e\n"]


def test_of_two_that_write_in_turns_each_has_its_own(stream: Pieces) -> None:
    as_one(b"a", stream, b"half ")
    as_one(b"b", stream, b"other ")
    as_one(b"a", stream, b"line\n")
    assert stream.pieces == [b"\x1ea\x1fhalf \x1e\x1f", b"\x1eb\x1fother \x1e\x1f", b"\x1ea\x1fline\n\x1e\x1f"]


def test_no_piece_is_so_long_that_another_could_come_into_it(stream: Pieces) -> None:
    lines = b"".join(b"%d " % number + b"x" * (number % 90) + b"\n" for number in range(1000))
    as_one(b"a", stream, lines + b"y" * 9000 + b"\n")
    assert max(map(len, stream.pieces)) <= select.PIPE_BUF
    assert b"".join(piece[3:-2] for piece in stream.pieces) == lines + b"y" * 9000 + b"\n"
    assert [piece[-3:] for piece in stream.pieces[:5]] == [b"\n\x1e\x1f"] * 5


def test_what_looks_like_a_mark_is_none(stream: Pieces) -> None:
    as_one(b"a", stream, b"\x1eb\x1fc\n")
    assert stream.pieces == [b"\x1ea\x1f\\x1eb\x1fc\n\x1e\x1f"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_may_write_although_another_thread_wrote_when_it_was_forked(stream: Pieces) -> None:
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with stream._lock:
            held.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it is pytest's until now
        signal.alarm(20)
        stream.write(b"x\n")
        os._exit(len(stream.pieces))
    over.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
