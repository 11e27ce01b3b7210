"""What ``dataclass(frozen=True, kw_only=True)`` and ``NamedTuple`` of the library make of a class, without the library's modules.

That one imports ``inspect``, ``ast`` and ``dis``: 8 ms and more than 1 MB of each daemon and of each worker. And it compiles what it makes
of each class, which takes 1 ms of each command, and 2 for one with many fields. Who asks for what only the
library can tell (``dataclasses.fields``, ``replace``, ``asdict``, ``inspect.signature``) has it imported then, and is answered with what it
makes of the same fields.

``NamedTuple`` and ``Protocol`` are here because the import of ``typing`` takes 2 ms of each daemon, and each class of its ``NamedTuple`` 0.1
more, in which it looks at annotations.
"""

from __future__ import annotations

import functools
from collections import namedtuple

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass, field, replace
    from typing import Any, NamedTuple, Protocol

    __all__ = ["NamedTuple", "Protocol", "dataclass", "field", "replace"]


class _Field:
    """A field of which each object gets a default of its own, or that is not shown, or not compared."""

    def __init__(
        self,
        *,
        default: Any = None,
        default_factory: Callable[[], Any] | None = None,
        repr: bool = True,  # noqa: A002 - as the library calls it
        compare: bool = True,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare


def _dataclass(*, frozen: bool, kw_only: bool) -> Callable[[type], type]:
    assert frozen and kw_only, "there is no other kind of it here"
    return _make


def _replace(one: object, **changes: Any) -> object:
    return type(one)(**{name: vars(one)[name] for name in type(one).__annotations__} | changes)


class _Named(type):
    """What a class with :class:`NamedTuple` as its base is made by: it becomes a class of the tuples that its annotations name."""

    def __new__(cls, name: str, _bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        fields = body.pop("__annotations__")
        defaults = [body.pop(field) for field in fields if field in body]
        made: Any = namedtuple(name, fields, defaults=defaults, module=body["__module__"])  # type: ignore[misc] # noqa: PYI024
        made.__annotations__ = fields
        for attribute, value in body.items():
            setattr(made, attribute, value)
        return made


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _Field, _replace
    NamedTuple, Protocol = type.__new__(_Named, "NamedTuple", (), {}), object


def _make(cls: Any) -> Any:
    names = tuple(cls.__annotations__)
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}
    fields = {name: default for name, default in defaults.items() if isinstance(default, _Field)}
    for name, field in fields.items():
        if field.default_factory is None:
            defaults[name] = field.default
            setattr(cls, name, field.default)
        else:
            delattr(cls, name)
    library = functools.cache(lambda: _make_by_library(cls, names, defaults, fields))
    shown = tuple(name for name in names if name not in fields or fields[name].repr)
    compared = tuple(name for name in names if name not in fields or fields[name].compare)
    asked = ("__dataclass_fields__", "__dataclass_params__", "__replace__", "__signature__")
    made: dict[str, Any] = {
        method.__name__: method for method in (_initializer(cls.__name__, names, defaults), *_methods(cls, names, shown, compared))
    }
    made |= {name: _Asked(cls, name, library) for name in asked}
    made["__match_args__"] = ()
    for name, value in made.items():
        if name not in vars(cls) or name not in ("__repr__", "__hash__"):  # which a class may have of its own
            setattr(cls, name, value)
    return cls


def _initializer(called: str, names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[..., None]:
    blank = {name: defaults.get(name) for name in names}
    required = [name for name in names if name not in defaults]
    factories = [
        (name, default.default_factory)
        for name, default in defaults.items()
        if isinstance(default, _Field) and default.default_factory is not None
    ]

    def __init__(self: object, **given: Any) -> None:  # noqa: N807
        for name in required:
            if name not in given:
                raise TypeError(f"{called}.__init__() missing a required keyword-only argument: {name!r}")
        if not given.keys() <= blank.keys():
            raise TypeError(f"{called}.__init__() got an unexpected keyword argument {min(given.keys() - blank.keys())!r}")
        fields = vars(self)
        fields.update(blank)
        fields.update(given)
        for name, factory in factories:
            if name not in given:
                fields[name] = factory()

    return __init__


def _methods(
    cls: type, names: tuple[str, ...], shown: tuple[str, ...], compared: tuple[str, ...]
) -> tuple[Callable[..., Any], ...]:
    """What the library gives such a class beside ``__init__``."""

    def values(self: object) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in compared)

    def __repr__(self: object) -> str:  # noqa: N807
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        _refuse(self, name, "assign to")
        object.__setattr__(self, name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        _refuse(self, name, "delete")
        object.__delattr__(self, name)

    def _refuse(self: object, name: str, what: str) -> None:
        """What is added by a class that was made of this one, is its own."""
        if type(self) is cls or name in names:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot {what} field {name!r}")

    return __repr__, __eq__, __hash__, __setattr__, __delattr__


def _make_by_library(cls: type, names: tuple[str, ...], defaults: dict[str, Any], fields: dict[str, _Field]) -> type:
    import dataclasses

    def described(name: str) -> Any:
        if name not in fields:
            return defaults.get(name, dataclasses.MISSING)
        field = fields[name]
        made = field.default_factory
        default: dict[str, Any] = {"default": field.default} if made is None else {"default_factory": made}
        return dataclasses.field(**default, repr=field.repr, compare=field.compare)

    all_of_them = [(name, cls.__annotations__[name], described(name)) for name in names]
    return dataclasses.make_dataclass(cls.__name__, all_of_them, frozen=True, kw_only=True)


class _Asked:
    """An attribute of a class that the library tells, when it is asked for."""

    def __init__(self, cls: type, name: str, library: Callable[[], type]) -> None:
        self._cls = cls
        self._name = name
        self._library = library

    def __get__(self, _one: object, owner: type) -> Any:
        if self._name != "__signature__":
            return getattr(self._library(), self._name)
        if owner is not self._cls:  # one that was made of it has its own
            raise AttributeError(self._name)
        import inspect

        return inspect.signature(self._library())
