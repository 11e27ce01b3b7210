"""Numbers on the command line, with their bounds in plain words, and moments: ``10m`` ago, or a date with its time."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from nectar.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

    _ParamType = click.ParamType[int | float]
else:
    _ParamType = click.ParamType  # before 8.5 it takes no type

_AGO = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_SECONDS = (86400, 3600, 60, 1)


class Number(_ParamType):
    """A number within bounds.

    :param least: the smallest.
    :param most: the largest; None is no bound.
    :param kind: ``int``, or ``float`` for one that need not be whole.
    """

    name = "number"

    def __init__(self, least: int, most: int | None = None, *, kind: type[int | float] = int) -> None:
        self.least = least
        self.most = most
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.least:,} or more" if self.most is None else f"{self.least:,} to {self.most:,}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | float:
        try:
            number = self.kind(value)
        except (ValueError, OverflowError):
            number = None
        if number is None or not (self.least <= number and (self.most is None or number <= self.most)):  # no number fits nan
            whole = "whole number" if self.kind is int else "number"
            self.fail(f"{value} is not a {whole} of {self}.", param, ctx)
        return number


def read_moment(text: str) -> float:
    """Unix seconds of a moment, as a person writes it: ``90s``, ``10m``, ``1h30m`` or ``2d`` ago; or ``2026-11-25 10:12``, of this
    machine's time where it says no other.

    :raises UsageError: it is none.
    """
    try:
        ago = _AGO.fullmatch(text)
        if ago is not None:
            return time.time() - sum(int(count or 0) * size for count, size in zip(ago.groups(), _SECONDS, strict=True))
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{text!r} is no moment.", hint="How long ago, as in 90s, 10m, 1h30m or 2d; or a date with its time: 2026-11-25T10:12."
        ) from None
