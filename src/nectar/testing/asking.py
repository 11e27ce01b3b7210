"""Asking a handler's function in the process at hand, by the rules of the worker."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from nectar.api.answers import as_integer
from nectar.api.decorator import is_handler
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.api.computation import Computation


def ask(function: Callable[[Computation], Any], computation: Computation | None = None) -> int:
    """Ask a handler one question and return its answer.

    :param function: a function with ``@handler`` on it, ``def`` or ``async def``.
    :param computation: the question; None is a plausible one.
    :raises TypeError: there is no ``@handler`` on it, or its answer is no integer: what nectar would refuse too. What the function
        itself raises passes through.
    """
    if not is_handler(function):
        raise TypeError(f"{getattr(function, '__qualname__', function)!s} has no @handler on it, so nectar would not ask it")
    answer = function(sample() if computation is None else computation)
    if inspect.iscoroutine(answer):
        import asyncio

        answer = asyncio.run(answer)
    return as_integer(answer)
