"""What an executor must do to run the parts of questions: a test for each clause.

Parts are functions of Python's own, and text that ``eval`` reads: an engine's workers need nothing of nectar's, and nothing of the tests'.
"""

from __future__ import annotations

import _thread
import concurrent.futures
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__tracebackhide__ = True  # of pytest: it shows no line of this module in a traceback
_Result = TypeVar("_Result")

MANY = 500
"""Parts, of which no engine that is tried begins all at once."""
_SLOW = "__import__('time').sleep(0.3) or 7"
_STUCK = "[].append(lambda: 0) or (lambda: 0)"
_RAISED = "(_ for _ in ()).throw(ValueError(lambda: 0))"
_KEYWORDS = (
    *("self", "fn", "func", "function", "task", "args", "kwargs", "key", "pure", "workers", "retries", "priority", "resources"),
    *("allow_other_workers", "fifo_timeout", "actor", "actors", "timeout", "context", "callback", "name", "block", "loop"),
)
"""Names that engines have for something of their own."""


def executor_contract(
    make: Callable[[], Executor], *, lose: Callable[[Executor], object] | None = None, patience: float = 60
) -> Callable[[Callable[[Trial], None]], None]:
    """A test for pytest, which tries an executor against each clause of what nectar, and the standard library, says of one.

    :param make: makes one for each clause, such as its class.
    :param lose: takes the engine away from one that works, as by ending its scheduler; what must come of it is tried where it is given.
        That a process of the engine's dies is tried wherever parts run in another process than this one.
    :param patience: seconds in which whatever was begun must end, whatever becomes of the engine.
    """
    import pytest

    clauses = [*_CLAUSES] if lose is None else [*_CLAUSES, a_lost_engine_ends_every_future]

    @pytest.mark.parametrize("clause", clauses, ids=[clause.__name__ for clause in clauses])
    def test(clause: Callable[[Trial], None]) -> None:
        trial = Trial(make(), patience, lose)
        try:
            clause(trial)
        finally:
            trial.end()

    return test


class Trial:
    """An executor, and how long it has."""

    def __init__(self, executor: Executor, patience: float, lose: Callable[[Executor], object] | None = None) -> None:
        self.executor = executor
        self.patience = patience
        self.lose = lose
        self._futures: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self.executor.submit(function, *args, **kwargs)
        assert isinstance(future, Future), f"submit returned no concurrent.futures.Future, but {type(future).__name__}"
        self._futures.append(future)
        return future

    def ended(self, future: Future[Any], what: str, *, until: float | None = None) -> BaseException | None:
        """Its exception, or None; it must end, where nothing is said within the patience."""
        seconds = self.patience if until is None else max(0, until - time.monotonic())
        # Not by wait: of a future that the standard library's shutdown has cancelled, it waits for what never comes.
        try:
            return future.exception(seconds)
        except CancelledError as error:
            return error
        except TimeoutError:
            raise AssertionError(f"the future of {what} has not ended within {self.patience:g} s") from None

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        future = self.submit(function, *args, **kwargs)
        error = self.ended(future, getattr(function, "__name__", "a part"))
        if error is not None:
            raise AssertionError(f"{function.__name__} was to be run, and ended with {type(error).__name__}: {error}") from error
        return future.result(timeout=0)

    def within(self, what: str, function: Callable[[], _Result]) -> _Result:
        """Call what may hang."""
        results: list[Callable[[], _Result]] = []

        def call() -> None:
            try:
                value = function()
                results.append(lambda: value)
            except BaseException as error:
                kept = error
                results.append(lambda: _throw(kept))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(self.patience)
        assert results, f"{what} has not ended within {self.patience:g} s"
        return results[0]()

    def fill(self) -> list[Future[Any]]:
        """So many parts that the last of them wait."""
        return [self.submit(eval, _SLOW) for _ in range(MANY)]

    def end(self) -> None:
        """Leave nothing to be done."""
        _cancel(self._futures)
        self.within("shutdown(wait=False)", lambda: self.executor.shutdown(wait=False))

    def is_elsewhere(self) -> bool:
        """Whether parts run in another process: only of such a one can a part be the end."""
        return bool(self.run(os.getpid) != os.getpid())


def _throw(error: BaseException) -> Any:
    raise error


def _cancel(futures: list[Future[Any]]) -> None:
    for future in reversed(futures):
        future.cancel()


def equal_calls_are_run_each(trial: Trial) -> None:
    found = {str(trial.run(uuid.uuid4)) for _ in range(4)}
    found |= {str(value) for value in trial.within("map", lambda: [*trial.executor.map(os.urandom, [8, 8, 8, 8])])}
    assert len(found) == 8, "two equal calls have got the result of one"


def every_keyword_reaches_the_function(trial: Trial) -> None:
    for name, value in zip(_KEYWORDS, itertools.count()):
        got = trial.run(dict, **{name: value})
        assert got == {name: value}, f"the function was to be called with {name}={value}, and got {got}"
    assert trial.run(dict, [("a", 1)], b=2) == {"a": 1, "b": 2}, "a positional argument has not reached the function"


def what_a_part_raises_is_its_exception(trial: Trial) -> None:
    error = trial.ended(trial.submit(int, "seven"), "a part that raises")
    assert type(error) is ValueError and "seven" in str(error), f"int('seven') has raised {error!r}"


def system_exit_is_an_exception(trial: Trial) -> None:
    for _ in range(3):
        error = trial.ended(trial.submit(sys.exit, "bye"), "a part that calls sys.exit")
        assert isinstance(error, SystemExit), f"the exception of sys.exit is {error!r}"
    assert trial.run(abs, -1) == 1


def what_cannot_be_pickled_ends_its_future(trial: Trial) -> None:
    lock = threading.Lock()
    for what, function, argument in (
        ("an argument that cannot be pickled", id, lock),
        ("a result that cannot be pickled", eval, _STUCK),
        ("a lock as a result", _thread.allocate_lock, None),
        ("an exception that cannot be pickled", eval, _RAISED),
    ):
        future = None
        with contextlib.suppress(Exception):  # which tells it even sooner
            future = trial.submit(function, *([] if argument is None else [argument]))
        if future is not None:
            trial.ended(future, what)
    assert trial.run(abs, -1) == 1


def a_time_limit_and_then_the_result(trial: Trial) -> None:
    future = trial.submit(eval, _SLOW)
    for wait in (future.result, future.exception):
        begun = time.monotonic()
        try:
            wait(timeout=0.01)
        except TimeoutError:
            pass
        else:
            raise AssertionError(f"{wait.__name__}(timeout=0.01) has raised no TimeoutError")
        assert time.monotonic() - begun < trial.patience / 2, f"{wait.__name__}(timeout=0.01) has waited much longer"
    assert trial.ended(future, "a part that was waited for in vain") is None, "a time limit has ended the part"
    assert future.result(timeout=0) == 7, "after a time limit the result is another one"


def a_part_is_cancelled_before_it_starts(trial: Trial) -> None:
    told: list[Future[Any]] = []
    *others, last = trial.fill()
    last.add_done_callback(told.append)
    assert last.cancel(), f"the last of {MANY} parts cannot be cancelled"
    _cancel(others)
    assert last.cancelled() and last.done(), "a part that was cancelled is not told as such"
    assert told == [last], "the callback of a part that was cancelled is not called once"
    try:
        last.result(timeout=0)
    except CancelledError:
        pass
    else:
        raise AssertionError("the result of a part that was cancelled is no CancelledError")
    for future in others:
        assert isinstance(trial.ended(future, "a part beside one that was cancelled"), (CancelledError, type(None)))
    assert trial.run(abs, -1) == 1


def callbacks_are_called(trial: Trial) -> None:
    told: list[str] = []
    over = threading.Event()
    future = trial.submit(eval, _SLOW)
    future.add_done_callback(lambda given: told.append("first" if given is future and given.done() else "another"))
    future.add_done_callback(lambda _: told.append("second"))
    future.add_done_callback(lambda _: over.set())
    assert trial.ended(future, "a part with callbacks") is None
    assert over.wait(trial.patience), "the callbacks were not called"
    future.add_done_callback(lambda _: told.append("late"))
    assert told == ["first", "second", "late"], f"the callbacks were called as {told}"


def as_completed_and_wait_know_the_futures(trial: Trial) -> None:
    futures = [trial.submit(abs, -number) for number in range(4)]
    seen: list[Future[Any]] = []
    with contextlib.suppress(TimeoutError):
        seen.extend(concurrent.futures.as_completed(futures, timeout=trial.patience))
    assert {*seen} == {*futures} and len(seen) == 4, "as_completed has not given each future once"
    slow, bad = trial.submit(eval, _SLOW), trial.submit(int, "seven")
    first = concurrent.futures.wait([slow, bad], trial.patience, concurrent.futures.FIRST_COMPLETED)
    assert first.done, "wait(FIRST_COMPLETED) has ended with none"
    raised = concurrent.futures.wait([slow, bad], trial.patience, concurrent.futures.FIRST_EXCEPTION)
    assert bad in raised.done, "wait(FIRST_EXCEPTION) has ended without it"
    assert not concurrent.futures.wait([slow, bad], trial.patience).not_done, "wait has ended before all had"


def map_is_eager_and_in_order(trial: Trial) -> None:
    taken: list[float] = []

    def seconds() -> Iterator[str]:
        for number in range(8):
            taken.append(number)
            yield f"__import__('time').sleep({0.2 if number == 0 else 0}) or {number}"

    results = trial.executor.map(eval, seconds())
    assert len(taken) == 8, f"map has taken {len(taken)} of 8 before it returned"
    assert trial.within("map", lambda: [*results]) == [*range(8)], "the results of map are in another order"
    pairs = trial.executor.map(pow, [2, 3, 4], itertools.repeat(2), chunksize=2)
    assert trial.within("map", lambda: [*pairs]) == [4, 9, 16], "map of two iterables, with chunksize, has other results"
    mixed = trial.executor.map(int, ["1", "two", "3"])
    assert next(mixed) == 1
    _raises(
        ValueError, lambda: trial.within("map", lambda: next(mixed)), "the exception of a part is not raised in its place of map"
    )
    late = trial.executor.map(eval, [_SLOW], timeout=0.01)
    _raises(TimeoutError, lambda: trial.within("map", lambda: next(late)), "map(timeout=0.01) has raised no TimeoutError")


def shutdown_waits(trial: Trial) -> None:
    futures = [trial.submit(eval, _SLOW) for _ in range(3)]
    trial.within("shutdown", trial.executor.shutdown)
    assert all(future.done() for future in futures), "shutdown has returned before the parts had ended"
    assert [trial.ended(future, "a part before a shutdown") for future in futures] == [None] * 3, "shutdown has ended parts"
    trial.within("a second shutdown", trial.executor.shutdown)


def shutdown_without_waiting_ends_no_part(trial: Trial) -> None:
    futures = [trial.submit(eval, _SLOW) for _ in range(3)]
    trial.within("shutdown", lambda: trial.executor.shutdown(wait=False))
    for future in futures:
        error = trial.ended(future, "a part at shutdown(wait=False)")
        assert error is None and future.result(timeout=0) == 7, f"a part at shutdown(wait=False) has ended with {error!r}"


def shutdown_cancels_what_waits(trial: Trial) -> None:
    futures = trial.fill()
    trial.within("shutdown", lambda: trial.executor.shutdown(cancel_futures=True))
    assert all(future.done() for future in futures), "shutdown(cancel_futures=True) has returned before all futures had ended"
    assert futures[-1].cancelled(), f"shutdown(cancel_futures=True) has not cancelled the last of {MANY} parts"
    for future in futures:
        assert isinstance(trial.ended(future, "a part"), (CancelledError, type(None))), "what ran at the shutdown has failed"


def a_submit_after_the_shutdown_raises(trial: Trial) -> None:
    trial.run(abs, -1)
    trial.within("shutdown", trial.executor.shutdown)
    _raises(RuntimeError, lambda: trial.executor.submit(abs, -1), "submit after a shutdown has raised no RuntimeError")


def a_process_that_dies_ends_every_future(trial: Trial) -> None:
    """Of the engine's; not of this one."""
    if not trial.is_elsewhere():
        return
    futures = [trial.submit(eval, _SLOW) for _ in range(4)]
    futures += [trial.submit(eval, f"__import__('os').kill(__import__('os').getpid(), {int(signal.SIGKILL)})")]
    errors = [trial.ended(future, "a part of an engine of which a process has died") for future in futures]
    assert isinstance(errors[-1], Exception), "a part that ends its process has a result"


def a_lost_engine_ends_every_future(trial: Trial) -> None:
    assert trial.lose is not None
    trial.run(abs, -1)
    futures = trial.fill()
    trial.within("the end of the engine", lambda: trial.lose and trial.lose(trial.executor))
    end = time.monotonic() + trial.patience
    errors = [trial.ended(future, "a part of an engine that was lost", until=end) for future in futures]
    assert isinstance(errors[-1], Exception), "the last part of an engine that was lost has a result"


def _raises(kind: type[Exception], function: Callable[[], Any], otherwise: str) -> None:
    try:
        function()
    except kind:
        return
    raise AssertionError(otherwise)


_CLAUSES: list[Callable[[Trial], None]] = [
    equal_calls_are_run_each,
    every_keyword_reaches_the_function,
    what_a_part_raises_is_its_exception,
    system_exit_is_an_exception,
    what_cannot_be_pickled_ends_its_future,
    a_time_limit_and_then_the_result,
    a_part_is_cancelled_before_it_starts,
    callbacks_are_called,
    as_completed_and_wait_know_the_futures,
    map_is_eager_and_in_order,
    shutdown_waits,
    shutdown_without_waiting_ends_no_part,
    shutdown_cancels_what_waits,
    a_submit_after_the_shutdown_raises,
    a_process_that_dies_ends_every_future,
]
