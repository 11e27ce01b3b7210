"""A project's handler, loaded in the process at hand by what loads it in a worker, with its hooks."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import nectar
from nectar.api.answers import as_integer
from nectar.api.computation import Computation, ComputationResult
from nectar.api.context import comp_id
from nectar.api.parts import PARTS
from nectar.errors import EnvironmentFailedError
from nectar.runtime.worker.loader import load
from nectar.runtime.worker.shield import describe
from nectar.testing.asking import begin_with_authors, run_outside, tell_range
from nectar.testing.printed import Printed
from nectar.testing.projects import choose_entry, find_project, list_plugins, noted
from nectar.testing.sample import make_question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from nectar.api.computation import Status
    from nectar.runtime.worker.loader import Handler
    from nectar.testing.projects import Project

__tracebackhide__ = True  # of pytest: it shows no line of this module in a traceback


def worker(handler: str | None = None, *, project: str | Path | None = None) -> AbstractContextManager[Worker]:
    """Load a project's handler once, as a worker does, for a ``with`` block in which it can be asked.

    ``nectar_worker_started`` is called before, and ``nectar_worker_stopping`` at the end of the block. In this process no deadline
    ends the code, and variables that a worker is not given can be seen.

    :param handler: the name of the entry point, where the project has several; of a single file, of the function.
    :param project: its directory, or a single file; None is the one that the calling file is in. A project must be installed, as by
        ``nectar dev``.
    :raises NectarError: it cannot be loaded, for what ``nectar test`` says too. What the code itself raises passes through.
    """
    place = Path(sys._getframe(1).f_code.co_filename).parent if project is None else Path(project)  # noqa: SLF001
    return _load(handler, place.absolute())


@contextmanager
def _load(handler: str | None, place: Path) -> Iterator[Worker]:
    with noted():
        found = find_project(place)
        loaded = Worker(found, choose_entry(found, handler).value)
    with loaded.serving():
        yield loaded


class Worker:
    """A handler that is loaded: what :func:`worker` gives."""

    def __init__(self, project: Project, entry: str) -> None:
        self._project = project
        self._entry = entry
        self._printed = Printed()
        self._executor: Executor | None = None
        self._handler: Handler

    @property
    def printed(self) -> str:
        """What the handler's code has printed by way of Python, hooks included; of the fixture, since the test began."""
        return str(self._printed)

    def ask(self, computation: Computation | str | None = None) -> int:
        """Ask one question and return its answer.

        :param computation: the question, or its query; None is a plausible one. The handler gets what a node's file would give it.
        :raises TypeError: the answer is no integer. What the code itself raises passes through, out of ``nectar_answered`` too, which is
            called before this returns.
        """
        question = make_question(computation)
        try:
            with self._at_work():
                return tell_range(run_outside(lambda: self._answer(question)))
        except Exception as error:
            begin_with_authors(error, str(_find_pluggy()))
            raise

    def ask_all(self, computations: Iterable[Computation | str], *, concurrency: int | None = None) -> list[int]:
        """Ask several, as many at once as a worker would, and return their answers in the same order.

        :param concurrency: how many; None is what ``[tool.nectar]`` says.
        :raises Exception: what the first raised that failed, when all are done.
        """
        questions = [make_question(computation) for computation in computations]
        slots = self._project.settings.concurrency if concurrency is None else concurrency
        if slots == 1:
            return [self.ask(question) for question in questions]
        try:
            with self._at_work():
                answers = run_outside(lambda: self._handler.coroutines.finish(self._answer_several(questions, slots)))
        except Exception as error:
            begin_with_authors(error, str(_find_pluggy()))
            raise
        return [*map(tell_range, answers)]

    def begin(self) -> Worker:
        """Have ``printed`` begin anew."""
        self._printed.clear()
        return self

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Load it, and have its hooks called at the beginning and at the end.

        :meta private:
        """
        use = (
            "parts" if self._project.settings.executor == "parts" else "none"
        )  # whole questions are answered here, for breakpoints
        path = [str(self._project.directory)] if self._project.is_file else []
        sys.path[:0] = path
        try:
            with self._at_work(), noted():
                self._handler = load(self._entry, list_plugins(), str(_find_pluggy()), use=use)
                run_outside(self._handler.started)
            try:
                for warning in self._handler.warnings:
                    warnings.warn(warning, stacklevel=5)
                yield
            finally:
                with self._at_work():
                    run_outside(self._handler.stopping)
                self._handler.coroutines.close()
        finally:
            for directory in path:
                sys.path.remove(directory)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """What a worker's process has, while the handler's code runs: its directory, its executor, the variables of ``[tool.nectar]``."""
        given = self._project.settings.env
        before = {name: os.environ.get(name) for name in given}
        with contextlib.chdir(self._project.directory), self._printed.listening():
            os.environ.update(given)
            PARTS.given, others = self._executor, PARTS.given
            try:
                yield
            finally:
                self._executor, PARTS.given = PARTS.given, others
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value

    def _answer(self, question: Computation) -> int:
        token = comp_id.set(question.comp_id)
        begun = time.perf_counter()
        try:
            value = as_integer(self._handler.answer(question))
        except Exception as error:
            self._look_after(question, time.perf_counter() - begun, error=describe(error))
            raise
        else:
            self._look_after(question, time.perf_counter() - begun, value=value)
            return value
        finally:
            comp_id.reset(token)

    def _look_after(self, question: Computation, seconds: float, *, value: int | None = None, error: str | None = None) -> None:
        if self._handler.answered is not None:
            status: Status = "success" if error is None else "error"
            result = ComputationResult(comp_id=question.comp_id, status=status, value=value, error=error, execution_time=seconds)
            self._handler.answered(result)

    async def _answer_several(self, questions: list[Computation], slots: int) -> list[int]:
        import asyncio
        import contextvars
        from concurrent.futures import ThreadPoolExecutor

        loop = asyncio.get_running_loop()
        turn = asyncio.Semaphore(slots)

        async def answer(question: Computation) -> int:
            async with turn:
                if self._handler.task is None:
                    return await loop.run_in_executor(threads, contextvars.copy_context().run, self._answer, question)
                comp_id.set(question.comp_id)  # of this task alone
                return as_integer(await self._handler.task(question))

        with ThreadPoolExecutor(slots, thread_name_prefix="computation") as threads:
            results = await asyncio.gather(*map(answer, questions), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, int)]


def _find_pluggy() -> Path:
    """The pluggy that calls hooks: the one beside our own modules, as in a worker, else the one that is installed with them."""
    beside = Path(nectar.__file__).parents[2] / "deps" / "pluggy"
    if beside.is_dir():
        return beside
    spec = importlib.util.find_spec("pluggy")
    if spec is None or spec.origin is None:
        raise EnvironmentFailedError("Nectar is installed without pluggy, which it needs.", hint="pip install pluggy")
    return Path(spec.origin).parent
