"""Asking a handler's function in the process at hand, by the rules of the worker."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import nectar
from nectar.api.answers import as_integer, explain_range
from nectar.api.context import comp_id
from nectar.api.coroutines import Coroutines
from nectar.api.decorator import is_handler
from nectar.testing.sample import make_question

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.api.computation import Computation
    from nectar.testing.cases import Case

__tracebackhide__ = True  # of pytest: it shows no line of this module in a traceback
_Result = TypeVar("_Result")
_coroutines = Coroutines()
atexit.register(_coroutines.close)


def ask(function: Callable[[Computation], Any], computation: Computation | None = None) -> int:
    """Ask a handler one question and return its answer.

    :param function: a function with ``@handler`` on it, ``def`` or ``async def``. Of the latter all are run in one loop, as in a worker:
        a client that is kept between questions stays usable. It may be asked in an async test, which waits for it.
    :param computation: the question; None is a plausible one. The handler gets what a node's file would give it: a question of its own.
    :raises TypeError: there is no ``@handler`` on it, or its answer is no integer: what nectar would refuse too. What the function
        itself raises passes through. An answer outside 0 … 2**32 - 1 is a warning: out of the network it comes changed.
    """
    if not is_handler(function):
        raise TypeError(f"{getattr(function, '__qualname__', function)!s} has no @handler on it, so nectar would not ask it")
    question = make_question(computation)
    token = comp_id.set(question.comp_id)
    try:
        returned = function(question)
        return tell_range(as_integer(run_outside(lambda: _coroutines.finish(returned))))
    except Exception as error:
        begin_with_authors(error)
        raise
    finally:
        comp_id.reset(token)


def tell_range(answer: int) -> int:
    """Warn of an answer that comes out of the network changed, to who has called what calls this; it is returned."""
    told = explain_range(answer)
    if told is not None:
        warnings.warn(told, stacklevel=3)
    return answer


def begin_with_authors(error: Exception, *more: str) -> None:
    """Have a traceback begin with the first line that is none of ours, nor of what runs coroutines and threads.

    :param more: how the names of files begin that come between, too.
    """
    library = os.path.dirname(os.__file__)
    between = (os.path.dirname(nectar.__file__), *(os.path.join(library, name) for name in ("asyncio", "concurrent")), *more)
    begin = error.__traceback__
    while begin is not None and begin.tb_frame.f_code.co_filename.startswith(between):
        begin = begin.tb_next
    error.__traceback__ = begin


def run_outside(function: Callable[[], _Result]) -> _Result:
    """Call a function that may run a loop; where one runs already, as in an async test, in a thread, which that test waits for."""
    if not _in_a_loop():
        return function()
    import contextvars
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, function).result()


def computations(function: Callable[[Computation], Any], directory: str | Path) -> Callable[[Case], None]:
    """A test for pytest, which asks a handler each computation of a directory.

    :param function: as for :func:`ask`.
    :param directory: with a file ``NAME.json`` for each: any fields of a computation, and ``expected``, the answer. A relative path begins
        where the file lies that calls this.
    :raises ValueError: there is none, or one is no computation; it says which and why.
    """
    import pytest

    from nectar.testing.cases import read_cases

    here = Path(sys._getframe(1).f_code.co_filename).parent  # noqa: SLF001
    cases = read_cases(here / directory)

    @pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])
    def test(case: Case) -> None:
        assert ask(function, case.computation) == case.expected

    return test


def _in_a_loop() -> bool:
    if "asyncio" not in sys.modules:
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
