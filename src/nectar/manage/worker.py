"""``nectar worker``: an engine's own worker for a handler, on this machine, for as long as the command is there.

Dask's has a scheduler that it is registered with, and ends when that is lost; here it is started again.
"""

from __future__ import annotations

import re
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from nectar.errors import ConflictError, UnresponsiveError
from nectar.manage import test
from nectar.manage.daemon.assignment import prepare
from nectar.manage.engine import schedulers
from nectar.manage.engine.child import Child
from nectar.manage.environment import locking, store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Order, Prepared
    from nectar.manage.engine.command import Command
    from nectar.manage.engine.schedulers import Address, Certificates

LONGEST_PAUSE = 10.0
"""Seconds before it is started again, at most; the first pause is one second long."""
_REFUSED = "nectar: refused: "
_SERVES = "nectar: serves "
_OURS = "nectar: "
_LOG = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - \S+ - (DEBUG|INFO) - .*"
"""A line of Dask's own log that is of interest to who looks for something."""


class Event(NamedTuple):
    """:ivar kind: ``"serves"``: it is registered; ``"waits"``: what for; ``"log"``: a line of Dask's log for who looks for something;
    ``"said"``: any other line of it, or of the handler's.
    """

    kind: Literal["serves", "waits", "log", "said"]
    text: str


@contextmanager
def ready(home: Home, name: str, order: Order, *, report: Callable[[str], None], warn: Callable[[str], None]) -> Iterator[Prepared]:
    """A handler's environment as launch would build it, in which the handler has been loaded once; nobody removes it while the block runs.

    :param report: is told what is being done, where it takes a while.
    :param warn: is told what there is to say of the handler.
    :raises NectarError: it has no lock, cannot be built, or cannot be loaded.
    """
    locking.require(home, order.source)
    with store.use(home, order.source, report=report) as built:
        prepared = prepare(home, name, order, built)
        loaded = False
        with closing(test.try_questions(prepared, [])) as events:
            for event in events:
                loaded = loaded or event["event"] == "loaded"
                for line in event.get("warnings", ()):
                    warn(line)
        if not loaded:
            raise UnresponsiveError("The process that tries the handler ended without a word.")
        yield prepared


def serve(started: Command, address: Address, certificates: Certificates | None) -> Generator[Event]:
    """Keep a worker there; close the iterator to end it.

    :raises ConflictError: the handler's daemon has another environment.
    :raises UnresponsiveError: what is at the address is no scheduler.
    """
    row, told, served = 0, "", False
    while True:
        try:
            schedulers.require_scheduler(address, certificates)
            child = Child(started)
            here = False
            try:
                for line in child.lines():
                    event = _read(line)
                    if event.text != told or event.kind != "waits":  # each of several says it
                        yield event
                    told = event.text if event.kind == "waits" else told
                    here = here or event.kind == "serves"
                why = "as it does where it has lost its scheduler" if child.code == 0 else f"with exit code {child.code}"
                text = f"The worker of Dask's has ended, {why}. It is started again."
            finally:
                child.end(signed_off=here)
            row, served = 0 if here else row, served or here
        except UnresponsiveError as error:
            if not (served or isinstance(error, schedulers.NobodyError)):
                raise
            text = f"{error.message} It is tried again."
        pause = min(LONGEST_PAUSE, 2.0**row)
        row = min(row + 1, 10)
        if text != told:
            yield Event("waits", text)
            told = text
        time.sleep(pause)


def _read(line: str) -> Event:
    """:raises ConflictError: it says that the handler's daemon has another environment."""
    if line.startswith(_REFUSED):
        hint = (
            "Both are built from the same source and lock, by the same nectar; nectar restart takes new ones on the daemon's side."
        )
        raise ConflictError(line.removeprefix(_REFUSED), hint=hint)
    if line.startswith(_SERVES):
        return Event("serves", line.removeprefix(_SERVES))
    if line.startswith(_OURS):
        return Event("waits", line.removeprefix(_OURS))
    return Event("log" if re.fullmatch(_LOG, line) else "said", line)
