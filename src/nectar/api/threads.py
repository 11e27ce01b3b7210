"""Threads for the parts of a question, where no engine has them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import ParamSpec, TypeVar

    _Arguments = ParamSpec("_Arguments")
    _Result = TypeVar("_Result")


class Threads(ThreadPoolExecutor):
    """A pool that lasts as long as its process. Each part has the context of who hands it in: which computation it is a part of."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="part")

    def submit(
        self, function: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        run: Callable[..., _Result] = copy_context().run
        return super().submit(run, function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refused, at its first use, before the next question finds no pool.

        :raises RuntimeError: always.
        """
        raise RuntimeError("nectar.executor() is for all computations of a worker: use it without `with`, and do not shut it down")
