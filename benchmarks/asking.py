"""The one who asks: writes questions where nodes write them, and waits for the answers. The same for all that is measured."""

from __future__ import annotations

import itertools
import json
import os
import select
import time
from typing import TYPE_CHECKING

from floor import IN_MOVED_TO, read_events, watch

from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUERY = "How many of you are there?"
PATIENCE = 60
"""Seconds after which an answer that has not come never will."""
_numbers = itertools.count()


class Client:
    """
    :param directories: where it asks, one for each node.
    :param query: what it asks; the answer that it expects is how long that is.
    :ivar pids: processes that ask in its place.
    """

    pids: tuple[int, ...] = ()
    pending, complete = ".pending", ".complete"
    events = IN_MOVED_TO

    def __init__(self, *directories: Path, query: str = QUERY) -> None:
        self.query = query
        self._notices, self._directories = watch([str(directory) for directory in directories], self.events)
        os.set_blocking(self._notices, False)
        self._answered: list[str] = []

    def close(self) -> None:
        os.close(self._notices)

    def ask(self, query: str | None = None, *, deadline: int = 30) -> str:
        """Ask once, at the first node, and return the path at which the answer will be."""
        number, directory = next(iter(self._directories.items()))
        name = self.choose_name()
        self._write(number, name, self.question(name, query, deadline))
        return f"{directory}/{name}{self.complete}"

    def ask_in_turn(self, count: int) -> list[float]:
        """Ask so many questions; each node asks the next one when it has the answer to the last.

        :return: for each, the seconds from before it is written until its answer has been read.
        """
        took: list[float] = []
        begun: dict[tuple[int, str], float] = {}
        left = iter(range(count))

        def ask_next(number: int) -> None:
            if next(left, None) is not None:
                name = self.choose_name()
                content = self.question(name)
                begun[number, name] = time.perf_counter()
                self._write(number, name, content)

        for number in self._directories:
            ask_next(number)
        while len(took) < count:
            for number, file_name in self._wait():
                name, ending = os.path.splitext(file_name)
                if ending == self.complete and (number, name) in begun:
                    content = self._read(f"{self._directories[number]}/{file_name}")
                    took.append(time.perf_counter() - begun.pop((number, name)))
                    self.check(content)
                    ask_next(number)
        return took

    def ask_at_once(self, count: int) -> float:
        """Ask so many questions one after the other, and return the seconds from the first until the last answer is there.

        Whoever calls this calls :meth:`collect` afterwards.
        """
        begun = self.put(count)
        self.wait_for(count)
        return time.perf_counter() - begun

    def put(self, count: int) -> float:
        """Write so many questions, in turns between nodes, and return when that began."""
        numbers = itertools.islice(itertools.cycle(self._directories), count)
        questions = [(number, name, self.question(name)) for number in numbers for name in [self.choose_name()]]
        self._note_answers()
        begun = time.perf_counter()
        for written, question in enumerate(questions, 1):
            self._write(*question)
            if written % 1000 == 0:  # the kernel keeps 16,384 events
                self._note_answers()
        return begun

    def wait_for(self, count: int) -> int:
        """Wait until so many answers are there, and return how many they are.

        It looks each millisecond: more would take the processor from those that answer.
        """
        begun = time.perf_counter()
        while len(self._answered) < count:
            time.sleep(0.001)
            self._note_answers()
            if time.perf_counter() - begun > PATIENCE + count / 100:
                raise RuntimeError(f"{len(self._answered)} of {count} questions were answered.")
        return len(self._answered)

    def collect(self) -> None:
        """Read and remove the answers of :meth:`ask_at_once`."""
        for path in self._answered:
            self.check(self._read(path))
        self._answered = []

    def choose_name(self) -> str:
        return f"{next(_numbers):08x}"

    def question(self, name: str, query: str | None = None, deadline: int = 30) -> bytes:
        """What is in a question's file."""
        return sample(self.query if query is None else query, comp_id=name, deadline=deadline).to_json()

    def check(self, answer: bytes) -> None:
        """
        :raises RuntimeError: it is not the right one, so that nothing is worth measuring.
        """
        fields = json.loads(answer)
        if fields["status"] != "success" or fields["result"] != {"value": len(self.query)}:
            raise RuntimeError(f"This is no answer to the question: {answer!r}")

    def _write(self, number: int, name: str, content: bytes) -> None:
        """Write a question in place, as nodes do."""
        with open(f"{self._directories[number]}/{name}{self.pending}", "wb", buffering=0) as file:
            file.write(content)

    def _wait(self) -> Iterator[tuple[int, str]]:
        ready, _, _ = select.select([self._notices], [], [], PATIENCE)
        if not ready:
            raise RuntimeError("No answer came.")
        return read_events(self._notices)

    def _note_answers(self) -> None:
        try:
            for number, name in read_events(self._notices):
                if name.endswith(self.complete):
                    self._answered.append(f"{self._directories[number]}/{name}")
        except BlockingIOError:
            pass

    def _read(self, path: str) -> bytes:
        with open(path, "rb", buffering=0) as file:
            content = file.read()
        os.unlink(path)
        return content


def wait_for_file(path: str) -> bytes:
    """Wait until a file is there and return what it holds."""
    begun = time.perf_counter()
    while not os.path.exists(path):
        time.sleep(0.002)
        if time.perf_counter() - begun > PATIENCE:
            raise RuntimeError(f"{path} did not come.")
    with open(path, "rb") as file:
        return file.read()
