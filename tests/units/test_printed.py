"""What is let through of what a worker's code prints, to the line and the second."""

from __future__ import annotations

import errno

import pytest

from nectar.runtime.daemon.workers.printed import Printed
from tests.units.machines import Machine, Told, go, loop_of, started


class Printing:
    """What a process prints, and what came of it, with the second."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.loop = loop_of(self.machine)
        spawned, self.process = started(self.machine)
        self.told = Told(self.machine)
        self.job = ""
        self.printed = Printed(self.loop, self.machine, spawned.printed, self.told, source=lambda: self.job)

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.told.lines]

    @property
    def at(self) -> list[float]:
        return [second for second, _ in self.told.lines]

    @property
    def dropped(self) -> list[tuple[float, int]]:
        counts = [(second, text.split(" ", 1)) for second, text in self.told.warnings]
        assert {text for _, (_, text) in counts} <= {"printed lines were dropped: there were too many at once"}
        return [(second, int(count)) for second, (count, _) in counts]

    def prints(self, what: bytes, seconds: float = 0) -> None:
        self.process.printed += what
        go(self.machine, self.loop, seconds)


@pytest.fixture
def printing() -> Printing:
    return Printing()


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
    printing.prints(b"y\n" + b"x" * size + b"\n")
    assert [len(line) for line in printing.lines] == [*parts, 1, *parts]


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


# --- whose it is


def test_what_comes_while_a_worker_has_a_job_is_that_ones(printing: Printing) -> None:
    printing.prints(b"loaded\n")
    printing.job = "alice a"
    printing.prints(b"one\nhalf", 0.5)
    printing.job = "alice b"
    printing.prints(b"two\n")
    printing.job = ""
    printing.prints(b"later\n", 1)
    assert printing.lines == ["loaded", "alice a: one", "alice b: two", "later", "alice a: half"]


@pytest.fixture
def marking(printing: Printing) -> Printing:
    printing.printed.is_marked = True
    return printing


def marked(name: str, text: str) -> bytes:
    return f"\x1e{name}\x1f{text}\x1e\x1f".encode()


@pytest.mark.parametrize("most", [1, 2, 3, 7, 1 << 16])
def test_what_is_marked_is_put_together_by_whose_it_is(marking: Printing, most: int) -> None:
    marking.machine.most = most
    marking.prints(
        b"plain " + marked("alice a", "one ") + marked("bob ü", "zwölf\n") + b"and plain\n" + marked("alice a", "line\nrest")
    )
    marking.prints(marked("bob ü", "other\n"))
    assert marking.lines == ["bob ü: zwölf", "plain and plain", "alice a: one line", "bob ü: other"]
    marking.prints(b"", 1.5)
    assert marking.lines[4:] == ["alice a: rest"]


def test_each_has_its_own_second_for_the_rest_of_a_line(marking: Printing) -> None:
    marking.prints(marked("a", "half"), 0.6)
    marking.prints(marked("b", "half"), 0.6)
    assert marking.lines == ["a: half"]
    marking.prints(marked("b", " and half\n"))
    assert marking.lines == ["a: half", "b: half and half"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"a\x1eb\nc\n", ["a\x1eb", "c"]),
        (b"a\x1fb\n", ["a\x1fb"]),
        (b"\x1e\x1e\x1f\x1f\n", ["\x1e\x1f"]),
        (b"\x1e" + b"x" * 3000 + b"\n", ["\x1e" + "x" * 3000]),
        (b"\x1ename", ["\x1ename"]),
    ],
)
def test_what_only_looks_like_a_mark_is_shown(marking: Printing, text: bytes, lines: list[str]) -> None:
    marking.prints(text)
    marking.printed.close()
    assert marking.lines == lines


def test_code_that_writes_marks_itself_costs_no_more_than_what_it_prints(marking: Printing) -> None:
    marking.prints(b"".join(marked(str(number), "x") for number in range(5000)))
    assert len(marking.lines) == 2000
    assert len(marking.printed._rests) <= 100
    marking.prints(b"".join(marked("a", "y\n") for number in range(5000)), 2)
    assert sum(count for _, count in marking.dropped) > 5000


def test_what_is_dropped_is_not_looked_at_piece_by_piece(marking: Printing, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[str] = []
    feed = marking.printed._feed

    def noted(whose: str, piece: bytes) -> None:
        fed.append(whose)
        feed(whose, piece)

    monkeypatch.setattr(marking.printed, "_feed", noted)
    lines = b"".join(marked(f"alice {number % 4}", f"{number}\n") for number in range(1000))
    marking.prints(lines * 3, 0.5)
    fed.clear()
    marking.prints(lines, 0.5)
    assert len(fed) < 5
    assert marking.dropped == [(1, 2000)]
    marking.prints(lines)
    assert marking.lines[2000:] == [f"alice {number % 4}: {number}" for number in range(1000)]


def test_the_last_of_what_was_dropped_are_told_with_whose_they_are(marking: Printing) -> None:
    marking.prints(marked("a", "x\n" * 2001 + "the last\n"))
    marking.printed.close()
    assert marking.lines[2000:] == ["a: x", "a: the last"]
