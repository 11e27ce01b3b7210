"""What every command is given: where it works, and how it shows things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.home import Home


@dataclass(frozen=True)
class Session:
    """One call of ``nectar``."""

    home: Home
    output: Output
