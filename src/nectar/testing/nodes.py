"""A node to ask in tests, whose handler is launched as an operator launches it: in its own environment, by the command."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar.api.command import find_command
from nectar.api.computation import ComputationResult
from nectar.errors import NectarError, UnresponsiveError
from nectar.frozen import replace
from nectar.home import Home
from nectar.protocol import ask
from nectar.spool.entries import COMPLETE, PENDING
from nectar.testing import keeper
from nectar.testing.projects import find_project, noted
from nectar.testing.sample import make_question, sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from nectar.api.computation import Computation

PATIENCE = 60.0
"""Seconds for an answer beyond the question's deadline: a worker may have to be started first."""
ENGINE = "NECTAR_DASK_ADDRESS"
"""A variable of the shell's that no handler gets in tests: a cluster is there for others."""
_POLL = 0.002
_NOBODYS = sample().comp_id


class AnswerError(Exception):
    """The answer to a question is no integer but an error, or that there was none in time.

    :ivar result: the answer.
    """

    def __init__(self, result: ComputationResult, log: str) -> None:
        super().__init__(f"{result.status}: {result.error}")
        self.result = result
        if log:
            self.add_note(log.rstrip("\n"))


def node(
    handler: str | None = None, *, project: str | Path | None = None, options: Sequence[str] = ()
) -> AbstractContextManager[Node]:
    """Launch a handler in its own environment, for a ``with`` block in which it can be asked as a node asks it.

    The data dir is a temporary one. Its processes are gone, and it is, when this process has ended, however it does.

    :param handler: the name of the entry point, where the project has several.
    :param project: its directory, or all else that ``nectar launch`` takes; None is the project that the calling file is in.
    :param options: more of ``nectar launch``, as in ``["--env", "MODEL=small"]``.
    :raises NectarError: it cannot be launched; the words are those of ``nectar launch``.
    """
    place = Path(sys._getframe(1).f_code.co_filename).parent if project is None else project  # noqa: SLF001
    return _launched(handler, place, project is None, options)


@contextmanager
def _launched(handler: str | None, place: str | Path, within: bool, options: Sequence[str]) -> Iterator[Node]:
    with noted():
        launched = launch(handler, find_project(Path(place).absolute()).directory if within else place, options)
    try:
        yield launched
    finally:
        launched.stop()


def launch(handler: str | None, project: str | Path, options: Sequence[str] = ()) -> Node:
    """The same, until the process ends."""
    data_dir = DATA_DIRS.kept()
    name = f"p{os.getpid()}-{next(_count)}"
    home = Home(data_dir.path)
    home.computations(name).mkdir(parents=True)
    chosen = [] if handler is None else ["--handler", handler]
    code, said = data_dir.run("launch", name, [str(project), name, "--attach", name, *chosen, *options])
    if code:
        raise NectarError(f"nectar launch ended with exit code {code}:", detail=said.strip())
    return Node(home, name)


class Node:
    """A node whose questions a launched handler answers: what :func:`node` gives."""

    def __init__(self, home: Home, name: str) -> None:
        self._home = home
        self._name = name
        self._directory = home.computations(name)
        self._begun = 0

    @property
    def log(self) -> str:
        """What the handler's log says, in which is what it printed; of the fixture, since the test began."""
        return self._read_log(self._begun)

    def submit(self, computation: Computation | str | None = None) -> ComputationResult:
        """Ask one question and return the answer, whatever it says.

        :param computation: the question, or its query; None is a plausible one.
        :raises UnresponsiveError: there is none.
        """
        return self._wait(self._put(computation))

    def ask(self, computation: Computation | str | None = None) -> int:
        """Ask one question and return the integer that it is answered with.

        :raises AnswerError: it is answered with an error, or not in time; the log's lines are with it.
        """
        __tracebackhide__ = True
        return self.ask_all([computation])[0]

    def ask_all(self, computations: Iterable[Computation | str | None]) -> list[int]:
        """Ask several at once and return their answers in the same order.

        :raises AnswerError: of the first whose answer is none, when all are answered.
        """
        __tracebackhide__ = True
        size = self._size()
        results = [self._wait(question) for question in [self._put(computation) for computation in computations]]
        for result in results:
            if result.value is None:
                raise AnswerError(result, self._read_log(size))
        return [result.value for result in results if result.value is not None]

    def begin(self) -> Node:
        """Have ``log`` begin anew."""
        self._catch_up()
        self._begun = self._size()
        return self

    def stop(self) -> None:
        """Stop the handler.

        :meta private:
        """
        DATA_DIRS.kept().run("stop", self._name, [self._name, "--timeout", "2"])

    def _put(self, given: Computation | str | None) -> Computation:
        question = make_question(given)
        if question.comp_id == _NOBODYS:
            question = replace(question, comp_id=secrets.token_hex(4))
        aside = self._directory / f".{question.comp_id}"
        aside.write_bytes(question.to_json())
        aside.rename(self._directory / f"{question.comp_id}{PENDING}")
        return question

    def _wait(self, question: Computation) -> ComputationResult:
        complete = self._directory / f"{question.comp_id}{COMPLETE}"
        end = time.monotonic() + question.deadline + PATIENCE
        while not complete.exists():
            if time.monotonic() > end:
                raise UnresponsiveError(f"There was no answer within {question.deadline + PATIENCE:g} seconds.", detail=self.log)
            time.sleep(_POLL)
        result = ComputationResult.from_json(complete.read_bytes())
        complete.unlink()
        return result

    def _read_log(self, begun: int) -> str:
        self._catch_up()
        path = self._home.log(self._name)
        text = path.read_bytes()
        if len(text) < begun:  # it was rotated
            text = path.with_name(f"{path.name}.1").read_bytes()[begun:] + text
            begun = 0
        return text[begun:].decode(errors="replace")

    def _size(self) -> int:
        return self._home.log(self._name).stat().st_size

    def _catch_up(self) -> None:
        """Wait until the daemon has written what was printed before now: what it reads comes in turn."""
        with suppress(NectarError):
            ask(self._home.socket(self._name), {"do": "status"}, timeout=5)


class DataDirs:
    """The data dir of this process: made when it is first needed, and kept by a process that removes it.

    Those who run one session of tests beside each other have the same, so that each environment is built once.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir(), f"nectar-node-{secrets.token_hex(8)}")
        self._kept: DataDir | None = None

    def kept(self) -> DataDir:
        """:raises NectarError: there is no command ``nectar``."""
        if self._kept is None:
            self._kept = DataDir(self.path)
            atexit.register(self.close)
        return self._kept

    def close(self, *, wait: bool = True) -> None:
        """Have all that was launched here stopped.

        :param wait: until the data dir is gone, which others may have too.
        """
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        end = time.monotonic() + 2 * keeper.SECONDS
        while wait and self.path.exists() and time.monotonic() < end:
            time.sleep(0.05)


class DataDir:
    """A data dir and its keeper."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers = itertools.count()
        self._turn = threading.Lock()
        self._owner = os.getpid()
        self._keeper: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, str(path), *find_command()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        self._keeper.stdout.readline()  # it has the data dir

    def run(self, verb: str, handler: str, arguments: Sequence[str]) -> tuple[int, str]:
        """Run ``nectar`` in it.

        :param verb: ``launch`` or ``stop``.
        :param handler: the name of the one that it is about.
        :param arguments: all that comes behind the verb.
        :returns: its exit code, and all that it said.
        """
        with self._turn:
            number = next(self._numbers)
            order = {"number": number, "do": verb, "handler": handler, "arguments": arguments}
            variables = {name: value for name, value in os.environ.items() if name != ENGINE}
            whole = {**order, "directory": str(Path.cwd()), "variables": variables}
            assert self._keeper.stdin is not None and self._keeper.stdout is not None
            with suppress(BrokenPipeError):
                self._keeper.stdin.write(json.dumps(whole).encode() + b"\n")
                self._keeper.stdin.flush()
            for line in self._keeper.stdout:
                ended: dict[str, Any] = json.loads(line)
                if ended["number"] == number:  # and none that an interrupt has left
                    return ended["code"], ended["said"]
        raise UnresponsiveError("The process that launches handlers for tests has ended.", where=str(self.path))

    def close(self) -> None:
        if self._owner == os.getpid():
            assert self._keeper.stdin is not None and self._keeper.stdout is not None
            with suppress(OSError):
                self._keeper.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._keeper.wait(4 * keeper.SECONDS)
            self._keeper.stdout.close()


_count = itertools.count(1)
DATA_DIRS = DataDirs()
