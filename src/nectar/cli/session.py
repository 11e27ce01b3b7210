"""What every command is given: where it works, and how it shows things."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nectar.cli.output import Output
    from nectar.home import Home


class Session:
    """One call of ``nectar``.

    :ivar data_dir: as it was given, by the variable or else by an option once the command line has been read; or None.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.data_dir = os.environ.get("NECTAR_DATA_DIR")

    @cached_property
    def home(self) -> Home:
        """The data dir of a command that makes none. One that nobody named and that is not there is empty.

        :raises NotFoundError: it was named, and is not there.
        """
        home = self.home_to_make
        if self.data_dir and not home.data_dir.exists():
            from nectar.errors import NotFoundError

            raise NotFoundError("There is no such data dir.", where=str(home.data_dir), hint="A launch makes one.")
        return home

    @cached_property
    def home_to_make(self) -> Home:
        """The same, for a command that makes the data dir where there is none.

        :raises UsageError: there is none, which not every command needs.
        :raises NectarError: it may not be used, as :func:`nectar.ownership.check` says.
        """
        from nectar import ownership  # which --help does without
        from nectar.home import Home

        home = Home.at(self.data_dir)
        ownership.check(home)
        return home
