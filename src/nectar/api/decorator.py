"""The ``@handler`` decorator: it checks a function's signature and leaves a mark on it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "__nectar_handler__"

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def handler(function: _Function) -> _Function:
    """Mark a function as the one that answers computations.

    The function is returned as it is: it stays a plain function, which can be called and tested as one. Nothing is registered.

    :param function: a function, ``def`` or ``async def``, that can be called with one positional argument, a
        :class:`nectar.Computation`, and returns an ``int`` or anything with ``__index__``.
    :raises TypeError: it is no function, or cannot be called with one positional argument.
    """
    if not inspect.isroutine(function):
        raise TypeError(f"@handler goes on a function, without parentheses; it was given {type(function).__name__}")
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"@handler: {name} yields; a handler returns one integer")
    try:
        inspect.signature(function).bind(object())
    except TypeError as error:
        signature = inspect.signature(function)
        raise TypeError(
            f"@handler: {name}{signature} cannot be called with one computation ({error}); "
            f"write it as `def {function.__name__}(comp: Computation) -> int`",
        ) from None
    setattr(function, MARK, True)
    return function


def is_handler(candidate: object) -> bool:
    """Whether an object carries the mark itself (an attribute that a class or a proxy makes up does not count)."""
    return inspect.isroutine(candidate) and getattr(candidate, "__dict__", {}).get(MARK) is True
