"""The ``@handler`` decorator: it checks a function's signature and leaves a mark on it."""

from __future__ import annotations

from types import FunctionType, MethodType

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, SupportsIndex, TypeGuard, TypeVar, overload

    from nectar.api.computation import Computation

    _Answers = Callable[[Computation], SupportsIndex | Awaitable[SupportsIndex]]
    _Function = TypeVar("_Function", bound=_Answers)

MARK = "__nectar_handler__"

# As in inspect, which is not imported for functions as nearly all are: 6 ms and 1 MB of each worker.
_VARARGS, _YIELDS, _COROUTINE = 0x04, 0x20 | 0x200, 0x80


_NOTHING: Any = object()


if TYPE_CHECKING:

    @overload
    def handler(function: _Function) -> _Function: ...
    @overload
    def handler() -> Callable[[_Function], _Function]: ...


def handler(function: _Function = _NOTHING) -> _Function | Callable[[_Function], _Function]:
    """Mark a function as the one that answers computations, with ``@handler`` or ``@handler()`` above it.

    The function is returned as it is: it stays a plain function, which can be called and tested as one. Nothing is registered.

    :param function: a function, ``def`` or ``async def``, that can be called with one positional argument, a
        :class:`nectar.Computation`, and returns an ``int`` or anything with ``__index__``.
    :raises TypeError: it is no function, or cannot be called with one positional argument.
    """
    if function is _NOTHING:
        return handler
    if not _takes_one(function):
        _check(function)
    setattr(function, MARK, True)
    return function


def is_handler(candidate: object) -> bool:
    """Whether an object carries the mark itself (an attribute that a class or a proxy makes up does not count)."""
    if type(candidate) is not FunctionType:
        if not (isinstance(candidate, MethodType) or hasattr(type(candidate), "__get__")):  # of routines, no other could carry it
            return False
        import inspect

        if not inspect.isroutine(candidate):
            return False
    return getattr(candidate, "__dict__", {}).get(MARK) is True


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a handler's function is a coroutine function."""
    if _is_plain(function):
        return bool(function.__code__.co_flags & _COROUTINE)
    import inspect

    return inspect.iscoroutinefunction(function)


def _is_plain(function: object) -> TypeGuard[FunctionType]:
    """Whether it is a function that nobody has put anything on but the mark, so that its code says all."""
    return type(function) is FunctionType and vars(function).keys() <= {MARK}


def _takes_one(function: object) -> bool:
    """Whether it is a plain function that yields nothing and can be called with one positional argument."""
    if not _is_plain(function):
        return False
    code = function.__code__
    positional = code.co_argcount
    others = code.co_varnames[positional : positional + code.co_kwonlyargcount]
    return (
        not code.co_flags & _YIELDS
        and (positional > 0 or code.co_flags & _VARARGS != 0)
        and positional - len(function.__defaults__ or ()) <= 1
        and {*others} <= {*(function.__kwdefaults__ or ())}
    )


def _check(function: Any) -> None:
    """:raises TypeError: it is no function, or cannot be called with one positional argument."""
    import inspect

    if not inspect.isroutine(function):
        raise TypeError(f"@handler goes on a function; it was given {type(function).__name__}")
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
