"""The handlers of a data dir as they should be: those that should run do, whatever ended them; what was stopped stays stopped."""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from nectar import namelock
from nectar.manage import launch
from nectar.manage.children import Children
from nectar.manage.handlers import registry
from nectar.manage.handlers.takeover import Launched
from nectar.manage.waits import wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nectar.errors import NectarError
    from nectar.home import Home
    from nectar.manage.children import Ended

AT_ONCE = max(8, os.cpu_count() or 1)
"""How many handlers are started at a time."""


class Outcome(NamedTuple):
    """What has become of a handler.

    :ivar verb: what was done, as in "Handler started"; empty where there was nothing to do, or where it was not done.
    :ivar launched: where it was started.
    :ivar problem: why it was not done.
    :ivar overruled: whether that is a later command's doing.
    """

    name: str
    verb: str = ""
    launched: Launched | None = None
    problem: NectarError | None = None
    overruled: bool = False


Call: TypeAlias = "Callable[[], dict[str, Any] | None]"
"""Something to be done for one handler, as :class:`nectar.manage.children.Children` does it; it returns what :func:`tell` made."""


def find_down(home: Home) -> list[str]:
    """The handlers that should run and do not, in the order in which they were first launched."""
    return [
        name for name, record in registry.read(home).items() if record.desired == "running" and not namelock.is_running(home, name)
    ]


def make_calls(home: Home, names: list[str], *, report: Callable[[str], None]) -> dict[str, Call]:
    """What is to be done to have them run again."""
    return {name: partial(_revive, home, name, report) for name in names}


def carry_out(home: Home, calls: Mapping[str, Call]) -> Iterator[Outcome]:
    """Do something for several handlers, several at a time, and tell of each when it is done."""
    children = Children()
    waiting = deque(calls)
    try:
        while waiting or children.names:
            while waiting and len(children.names) < AT_ONCE:
                name = waiting.popleft()
                children.begin(name, calls[name])
            with wait(f"Bringing up {len(waiting) + len(children.names)} handler(s)"):
                done = children.collect()
            for ended in done:
                yield read(home, ended)
    finally:
        children.end()


def tell(verb: str, launched: Launched | None = None) -> dict[str, Any]:
    """What was done, for :func:`read`."""
    told = {"warnings": launched.warnings, "problems": launched.problems} if launched is not None else None
    return {"verb": verb, "launched": told}


def read(home: Home, ended: Ended) -> Outcome:
    """What has become of a handler, when the call for it has ended."""
    if ended.value is None:
        return Outcome(ended.name, problem=ended.problem, overruled=ended.overruled)
    told, record = ended.value["launched"], registry.read(home).get(ended.name)
    launched = None if told is None or record is None else Launched(ended.name, record, told["problems"], told["warnings"])
    return Outcome(ended.name, ended.value["verb"], launched)


def _revive(home: Home, name: str, report: Callable[[str], None]) -> dict[str, Any] | None:
    launched = launch.revive(home, name, report=lambda text: report(f"{name}: {text}"))
    return None if launched is None else tell("started", launched)
