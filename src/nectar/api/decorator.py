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
    """:raises TypeError: it is no function, or cannot be called with one positional argument, or cannot carry the mark."""
    import inspect

    name = getattr(function, "__qualname__", type(function).__qualname__)
    if why := _name_misfit(function, name):
        raise TypeError(f"@handler: {why}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"@handler: {name} yields; a handler returns one integer")
    signature = inspect.signature(function)
    try:
        signature.bind(object())
    except TypeError as error:
        if _is_method(name, [*signature.parameters]):
            raise TypeError(f"@handler: {name} is a method, which is given an object first; move it out of the class") from None
        raise TypeError(
            f"@handler: {name}{signature} cannot be called with one computation ({error}); "
            f"write it as `def {function.__name__}(comp: Computation) -> int`",
        ) from None


def _name_misfit(function: Any, name: str) -> str | None:
    """What something is that cannot be marked as a handler, and what to do instead."""
    import functools
    import inspect

    if isinstance(function, type):
        return f"{name} is a class; it goes on a function (a class may have hooks, with @nectar.hookimpl)"
    if isinstance(function, staticmethod):
        return f"{name} is a static method already; put @staticmethod above @handler"
    if isinstance(function, classmethod):
        return f"{name} is a class method; move it out of the class"
    if inspect.ismethod(function):
        return f"{name} is bound to an object; it goes on a function, which may call that"
    if inspect.isroutine(function) and not isinstance(function, functools.partial):
        return (
            None
            if hasattr(function, "__dict__")
            else f"{name} is not written in Python; it goes on a function, which may call that"
        )
    given = f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
    if not callable(function):
        return f"it goes on a function, and was given {given}; there is nothing to say in parentheses"
    return f"it goes on a function, which may call that; it was given {given}"


def _is_method(name: str, parameters: list[str]) -> bool:
    """Whether a function with these parameters stands in a class, and is given an object of it."""
    owner = name.rpartition(".")[0]
    return owner != "" and not owner.endswith("<locals>") and parameters[:1] in (["self"], ["cls"])
