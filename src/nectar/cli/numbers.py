"""Numbers on the command line, and their bounds in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import Any

    _ParamType = click.ParamType[int | float]
else:
    _ParamType = click.ParamType  # before 8.5 it takes no type


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
