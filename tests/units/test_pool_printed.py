"""Whose what a worker prints is: its channel and what it prints are two descriptors, of which any may be looked at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.units.machines import FREES, Stage
from tests.units.test_printed import marked

if TYPE_CHECKING:
    from tests.soak.machine import Process


class Reads(Stage):
    """:ivar reads: descriptors that were read."""

    def begin(self) -> Reads:
        self.reads: list[int] = []
        read = self.machine.read

        def noted(descriptor: int, size: int) -> bytes:
            self.reads.append(descriptor)
            return read(descriptor, size)

        self.machine.read = noted  # type: ignore[method-assign]
        super().begin()
        return self

    def prints(self, what: bytes) -> None:
        self.processes[0].printed += what

    @property
    def lines(self) -> list[str]:
        return [line for _, line in self.told.lines]


@pytest.fixture
def stage() -> Reads:
    return Reads().begin()


def test_who_prints_nothing_pays_nothing(stage: Reads) -> None:
    (channel,) = {*stage.reads}
    for name in "abc":
        stage.run(name)
        stage.answer_at_once(name)
    assert stage.succeeded("c")
    assert {*stage.reads} == {channel}


def test_what_is_printed_before_an_answer_is_that_questions_although_the_next_has_begun(stage: Reads) -> None:
    for name in "abc":
        stage.run(name)
        stage.go(0)
        stage.prints(f"of {name}\nand more".encode())
        if name == "b":
            stage.prints(b"x" * (1 << 17) + b"\n")
        stage.run("next")
        stage.answer(name)
        stage.go(0)
        stage.prints(b"of next\n")
        stage.go(0)
        stage.answer_at_once("next")
        del stage.outcomes["next"]
    stage.go(2)
    assert stage.lines[:2] == ["alias a: of a", "alias next: of next"]
    whose = [line.partition(":")[0] for line in stage.lines if "x" * 8 in line]
    assert (len(whose), {*whose}) == (17, {"alias b"})
    assert stage.lines.count("alias a: and more") == 1
    assert stage.lines.count("alias c: and more") == 1


def test_what_is_printed_after_an_answer_belongs_to_it_as_long_as_the_worker_looks_after_it() -> None:
    stage = Reads()
    stage.load = lambda process: stage.machine.send(process, FREES)
    stage.begin()
    stage.run("a")
    stage.run("b")
    stage.answer_at_once("a")
    stage.prints(b"after\n")
    stage.free(1)
    stage.prints(b"of b\n")
    stage.go(0)
    assert stage.lines == ["alias a: after", "alias b: of b"]


def test_the_last_words_of_one_that_dies_are_its_questions(stage: Reads) -> None:
    stage.run("a")
    stage.run("b")
    stage.go(0)
    stage.prints(b"one\ntwo")
    stage.answer("a")
    stage.machine.end(stage.processes[0], 3)
    stage.go(2)
    assert stage.succeeded("a")
    assert stage.lines == ["alias a: one", "alias a: two"]


def test_of_several_at_once_it_is_what_the_worker_says() -> None:
    stage = Reads(concurrency=2).begin()
    names: list[str] = []
    receive = stage.machine.receive

    def noted(process: Process) -> dict[str, Any] | None:
        header = receive(process)
        names.extend([header["name"]] if header is not None and header["do"] == "run" else [])
        return header

    stage.machine.receive = noted  # type: ignore[method-assign]
    stage.run("a")
    stage.run("b\n")
    stage.go(0)
    assert names == ["alias a", "alias b\\n"]
    stage.prints(marked("alias a", "one\n") + b"plain\n")
    stage.go(0)
    assert stage.lines == ["alias a: one", "plain"]
