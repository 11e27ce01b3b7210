"""The author's coroutines, run to their end in one loop: a client that is kept between computations is bound to it and stays usable."""

from __future__ import annotations

import functools
from contextvars import copy_context
from types import CoroutineType

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Runner
    from collections.abc import Callable
    from typing import Any

_type_of = type  # kept here, because the code that has just run may have broken the builtins


class Coroutines:
    """One loop, made when it is first needed."""

    def __init__(self) -> None:
        self._runner: Runner | None = None

    def loop(self) -> AbstractEventLoop:
        """The loop in which they run, whoever runs it."""
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        return self._runner.get_loop()

    def finish(self, returned: Any) -> Any:
        """What a function has returned; where that is a coroutine, as behind a decorator it may be, what this returns at its end."""
        if _type_of(returned) is not CoroutineType:
            return returned
        loop = self.loop()
        if loop.is_running():  # in another thread
            import asyncio

            return asyncio.run_coroutine_threadsafe(returned, loop).result()
        assert self._runner is not None
        # Of its own a runner has one context for all: what says which computation runs would say the first one's.
        return self._runner.run(returned, context=copy_context())

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """An async function as a plain one."""

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            return self.finish(function(*arguments, **named))

        return call

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
