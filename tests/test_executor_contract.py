"""The contract of an executor: engines that keep it, and for each clause one that does not."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

import loky
import pytest

from nectar.testing import contract as clauses
from nectar.testing import executor_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.testing.contract import Trial


class Threads(ThreadPoolExecutor):
    made: ClassVar[list[Threads]] = []

    def __init__(self) -> None:
        super().__init__(2)
        self.made.append(self)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """What breaks the contract leaves parts behind, for which the end of the interpreter would wait."""
    yield
    while Threads.made:
        ThreadPoolExecutor.shutdown(Threads.made.pop(), wait=False, cancel_futures=True)


def make_processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


class Loky(Executor):
    """With what it lacks: a keyword ``self`` for the function, and ``cancel_futures``."""

    def __init__(self) -> None:
        self.pool = loky.ProcessPoolExecutor(2)
        self._begun: WeakSet[Future[Any]] = WeakSet()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = self.pool.submit(functools.partial(function, *args, **kwargs))
        self._begun.add(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for future in self._begun:
                future.cancel()
        self.pool.shutdown(wait=wait)


test_threads = executor_contract(Threads, lose=lambda pool: pool.shutdown(wait=False, cancel_futures=True))
test_processes = executor_contract(
    make_processes, lose=lambda pool: [process.kill() for process in [*vars(pool)["_processes"].values()]]
)
test_loky = executor_contract(Loky, lose=lambda engine: vars(engine)["pool"].shutdown(kill_workers=True))


@pytest.mark.parametrize("clause", ["every_keyword_reaches_the_function", "shutdown_cancels_what_waits"])
def test_what_loky_lacks(clause: str) -> None:
    with pytest.raises(TypeError):
        executor_contract(lambda: loky.ProcessPoolExecutor(2))(getattr(clauses, clause))


class Pure(Threads):
    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        kept = vars(self).setdefault("kept", {})
        key = repr((function, args, kwargs))
        if key not in kept:
            kept[key] = super().submit(function, *args, **kwargs)
        future: Future[Any] = kept[key]
        return future


class Swallowing(Threads):
    def submit(self, function: Callable[..., Any], /, *args: Any, key: object = None, **kwargs: Any) -> Future[Any]:
        return super().submit(function, *args, **kwargs)


class Around(Threads):
    """What it does with a part's function is what breaks the contract."""

    around: Callable[..., Any]

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(type(self).around, function, *args, **kwargs)


def rename(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        raise RuntimeError(str(error)) from None


def leave(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except SystemExit:
        return None


class Renaming(Around):
    around = rename


class Leaving(Around):
    around = leave


class After(Threads):
    """What it does with a future is what breaks the contract."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self.change(super().submit(function, *args, **kwargs))

    def change(self, future: Future[Any]) -> Future[Any]:
        return future


class Hanging(After):
    """With what cannot be pickled."""

    def change(self, future: Future[Any]) -> Future[Any]:
        other: Future[Any] = Future()

        def pass_on(ended: Future[Any]) -> None:
            try:
                pickle.dumps(ended.exception() or ended.result())
            except (TypeError, AttributeError, pickle.PicklingError):
                return
            other.set_result(ended.result())

        future.add_done_callback(pass_on)
        return other


class Waiting(After):
    def change(self, future: Future[Any]) -> Future[Any]:
        future.exception()
        return future


class Headstrong(After):
    def change(self, future: Future[Any]) -> Future[Any]:
        vars(future)["cancel"] = lambda: False
        return future


class Silent(After):
    def change(self, future: Future[Any]) -> Future[Any]:
        vars(future)["add_done_callback"] = lambda function: None
        return future


class Unheard(list[object]):
    def append(self, _: object) -> None:
        pass

    def remove(self, _: object) -> None:
        pass


class Alone(After):
    """Its futures tell nobody who waits for several."""

    def change(self, future: Future[Any]) -> Future[Any]:
        other: Future[Any] = Future()
        vars(other)["_waiters"] = Unheard()

        def pass_on(ended: Future[Any]) -> None:
            if not other.cancelled():
                other.set_result(ended.exception() or ended.result())

        future.add_done_callback(pass_on)
        return other


class Lazy(Threads):
    def map(self, function: Callable[..., Any], *iterables: Any, timeout: float | None = None, chunksize: int = 1) -> Iterator[Any]:
        return map(function, *iterables)


class Disorderly(Threads):
    def map(self, function: Callable[..., Any], *iterables: Any, timeout: float | None = None, chunksize: int = 1) -> Iterator[Any]:
        return iter([*super().map(function, *iterables)][::-1])


class Hasty(Threads):
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


class Harsh(Threads):
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=wait, cancel_futures=not wait)


class Patient(Threads):
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=wait)


class Undead(Threads):
    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if not vars(self)["_shutdown"]:
            return super().submit(function, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


class Forgetful(Threads):
    """As if its parts ran elsewhere, and what dies there is waited for for ever."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if "kill" in repr(args):
            return Future()
        if function is os.getpid:
            return super().submit(int)
        return super().submit(function, *args, **kwargs)


class Strange(Threads):
    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return function(*args, **kwargs)  # type: ignore[no-any-return]


BROKEN: list[tuple[Callable[[Trial], None], Callable[[], Any], float, str]] = [
    (clauses.equal_calls_are_run_each, Pure, 60, "two equal calls"),
    (clauses.equal_calls_are_run_each, Strange, 60, "returned no concurrent.futures.Future, but UUID"),
    (clauses.every_keyword_reaches_the_function, Swallowing, 60, "with key=7, and got {}"),
    (clauses.what_a_part_raises_is_its_exception, Renaming, 60, r"has raised RuntimeError"),
    (clauses.system_exit_is_an_exception, Leaving, 60, "the exception of sys.exit is None"),
    (clauses.what_cannot_be_pickled_ends_its_future, Hanging, 2, "the future of a result that cannot be pickled has not ended"),
    (clauses.a_time_limit_and_then_the_result, Waiting, 60, "has raised no TimeoutError"),
    (clauses.a_part_is_cancelled_before_it_starts, Headstrong, 60, "the last of 500 parts cannot be cancelled"),
    (clauses.callbacks_are_called, Silent, 2, "the callbacks were not called"),
    (clauses.as_completed_and_wait_know_the_futures, Alone, 2, "as_completed has not given|wait.FIRST"),
    (clauses.map_is_eager_and_in_order, Lazy, 60, "map has taken 0 of 8"),
    (clauses.map_is_eager_and_in_order, Disorderly, 60, "in another order"),
    (clauses.shutdown_waits, Hasty, 60, "before the parts had ended"),
    (clauses.shutdown_without_waiting_ends_no_part, Harsh, 60, "has ended with CancelledError"),
    (clauses.shutdown_cancels_what_waits, Patient, 2, "shutdown has not ended within 2 s"),
    (clauses.a_submit_after_the_shutdown_raises, Undead, 60, "has raised no RuntimeError"),
    (clauses.a_process_that_dies_ends_every_future, Forgetful, 2, "of which a process has died has not ended"),
    (clauses.a_lost_engine_ends_every_future, Alone, 2, "that was lost has not ended|has a result"),
]


@pytest.mark.parametrize(
    ("clause", "make", "patience", "said"), BROKEN, ids=[f"{make.__name__}-{clause.__name__}" for clause, make, *_ in BROKEN]
)
def test_each_clause_can_fail(clause: Callable[[Trial], None], make: Callable[[], Any], patience: float, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        executor_contract(make, lose=lambda _: None, patience=patience)(clause)


def test_no_clause_is_left_out() -> None:
    named = {clause for clause, *_ in BROKEN}
    assert named == {*vars(clauses)["_CLAUSES"], clauses.a_lost_engine_ends_every_future}
