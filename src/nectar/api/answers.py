"""What counts as an answer: the one rule, for the worker and for an author's tests alike."""

from __future__ import annotations

from operator import index

from nectar.api.computation import SHARE_MODULUS

MAX_BITS = 14_000
"""An integer with more has over 4,300 digits, which JSON's readers in Python refuse."""


def as_integer(value: object) -> int:
    """Return what a handler returned as a plain ``int``.

    :param value: an ``int``, or anything with ``__index__`` (a NumPy integer).
    :raises TypeError: it is something else, or a ``bool`` (Python's or NumPy's), which is an integer in name only. The message
        names the type and never the value, which is private.
    :raises OverflowError: it has more than :data:`MAX_BITS` bits.
    """
    kind = type(value)
    if value is None:
        raise TypeError("the handler returned None; it must return an int (is a `return` missing?)")
    if isinstance(value, bool) or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")):
        raise TypeError("the handler returned a bool; it must return an int (int(…) makes one)")
    if not hasattr(kind, "__index__"):
        rounds = " (int(…) or round(…) makes one)" if hasattr(kind, "__round__") else ""
        raise TypeError(f"the handler returned {_article(called(kind))}; it must return an int{rounds}")
    integer = index(value)  # type: ignore[arg-type]
    if integer.bit_length() > MAX_BITS:
        raise OverflowError(f"the handler returned an integer of {integer.bit_length()} bits; an answer has at most {MAX_BITS}")
    return integer


def explain_range(value: int) -> str | None:
    """What to say of an answer that the node's shares cannot hold; None of others."""
    if 0 <= value < SHARE_MODULUS:
        return None
    return f"{value} is outside 0 … 2**32 - 1: out of the network it comes as {value % SHARE_MODULUS}."


def called(kind: type) -> str:
    """A type's name as a person knows it: without ``builtins``."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
