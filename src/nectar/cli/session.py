"""What every command is given: where it works, and how it shows things."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nectar.home import Home

if TYPE_CHECKING:
    from nectar.cli.output import Output


@dataclass(frozen=True)
class Session:
    """One call of ``nectar``.

    :ivar data_dir: as it was given, or None.
    """

    data_dir: str | None
    output: Output

    @cached_property
    def home(self) -> Home:
        """:raises UsageError: there is none, which not every command needs."""
        return Home.at(self.data_dir)
