"""What is said of an entry point that names no handler: what it names instead, where that is, and what to write."""

from __future__ import annotations

import inspect
import sys
from types import CodeType, FunctionType, ModuleType

from nectar.api.answers import called
from nectar.api.decorator import is_handler
from nectar.errors import NectarError

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MARK_IT = "Put @handler (from nectar import handler) above the function that answers."


def explain_nowhere(entry: str, value: Any, part: str) -> NectarError:
    """Of an entry point whose attribute is not there.

    :param value: what was found until then, which has no such ``part``.
    """
    import difflib

    module = entry.partition(":")[0]
    name = module if value is sys.modules[module] else f"{module}:{getattr(value, '__qualname__', type(value).__name__)}"
    near = difflib.get_close_matches(part, [*map(str, getattr(value, "__dict__", {}))], 1)
    return NectarError(
        f"The entry point {entry!r} points nowhere: {name} has no {part!r}.",
        where=_place(value, entry),
        hint=(f"Did you mean {near[0]}? " if near else "") + "Correct what --handler names, or the entry point in pyproject.toml.",
    )


def explain_several(entry: str, target: Any, names: list[str]) -> NectarError:
    """Of a module with more than one function to choose from."""
    first = min(names)
    return NectarError(
        f"There are {len(names)} @handler functions: {', '.join(sorted(names))}.",
        where=_place(target, entry),
        hint=f'Choose one: --handler {first} of a file; "{entry}:{first}" as the entry point of a project.',
    )


def explain_incomplete(entry: str, target: Any) -> NectarError:
    """Of something that has hooks, and none that answers."""
    return NectarError(
        f"{entry} has no nectar_compute, and is no @handler function.",
        where=_place(target, entry),
        hint="Implement it with @nectar.hookimpl.",
    )


def explain_unfit(entry: str, target: Any) -> NectarError:
    """Of something that is neither a function with ``@handler`` nor has a hook."""
    what, hint = _describe(entry, target)
    return NectarError(f"{entry} {what}.", where=_place(target, entry), hint=hint)


def _describe(entry: str, target: Any) -> tuple[str, str]:
    """What it is, and what to do."""
    if isinstance(target, ModuleType):
        return _describe_module(target)
    if isinstance(target, FunctionType):
        if inner := _hidden(target):
            return _describe_hidden(inner)
        return "is a function without @handler", _MARK_IT
    if isinstance(target, type):
        inside = [name for name, value in vars(target).items() if is_handler(getattr(target, name, value))]
        if inside:
            return f"is a class, and its {inside[0]} is the handler", f'Name that: "{entry}.{inside[0]}".'
        return (
            "is a class without a hook",
            "Put @handler on a function of the module, or @nectar.hookimpl on a method nectar_compute.",
        )
    if inspect.isroutine(target):
        kind = "is bound to an object" if inspect.ismethod(target) else "is not written in Python"
        return f"{kind}, and has no @handler on it", "Write a function that calls it, with @handler above it."
    return f"is no function but {_article(called(type(target)))}", _MARK_IT


def _describe_module(module: ModuleType) -> tuple[str, str]:
    own = [(name, value) for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    for name, value in own:
        if isinstance(value, FunctionType) and (inner := _hidden(value)):
            what, hint = _describe_hidden(inner)
            return f"has no @handler function: its {name} {what}", hint
        if isinstance(value, type):
            for inside in vars(value):
                if is_handler(getattr(value, inside, None)):
                    return f"has no @handler function but one in its class {name}", (
                        f"Move {inside} out of the class, or name it: --handler {name}.{inside}, or "
                        f'"{module.__name__}:{name}.{inside}" in pyproject.toml.'
                    )
    return "has neither a @handler function nor a hook", _MARK_IT


def _describe_hidden(inner: str) -> tuple[str, str]:
    return f"is what a decorator has put in the place of the @handler function {inner}", (
        "Put @handler on top, above the other decorators, or have that one use functools.wraps."
    )


def _hidden(function: FunctionType) -> str | None:
    """The name of a function with ``@handler`` that this one was wrapped around."""
    return next(
        (str(value.__name__) for value in _contents(function) if isinstance(value, FunctionType) and is_handler(value)), None
    )


def _contents(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue


def _article(kind: str) -> str:
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _place(target: Any, entry: str) -> str | None:
    """Where a person finds it: a file, and of a function the line."""
    code = getattr(target, "__code__", None)
    if isinstance(code, CodeType):
        return f"{code.co_filename}, line {code.co_firstlineno}"
    return getattr(target, "__file__", None) or getattr(sys.modules[entry.partition(":")[0]], "__file__", None)
