"""How a handler is, in one word that is true: from its record and from what its daemon says."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from nectar.frozen import dataclass

if TYPE_CHECKING:
    from nectar.manage.handlers.registry import Record

SILENT = 60.0
"""Seconds after which nothing was done for what waits."""
BUSY = 60.0
"""Seconds after which a run is told of."""


class State(enum.Enum):
    """Of those that fit, the first counts."""

    DEAD = "dead"
    """It should run, and does not."""
    STOPPED = "stopped"
    UNRESPONSIVE = "unresponsive"
    """Its daemon lives, and says nothing."""
    STOPPING = "stopping"
    STARTING = "starting"
    FAILING = "failing"
    """It cannot be loaded, or answers with nothing but errors."""
    SILENT = "silent"
    """Something waits, or cannot be looked at, and nothing is done."""
    BUSY = "busy"
    """It has been at one question for long, and may be."""
    RUNNING = "running"


UNWELL = frozenset({State.DEAD, State.UNRESPONSIVE, State.FAILING, State.SILENT})
"""Those for which somebody should look."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """:ivar what: what there is to say beyond the state, in one sentence without its full stop; None where there is nothing.
    :ivar since: Unix seconds from which on it is so, as far as that is known.
    :ivar cure: what to type.
    :ivar alarming: whether somebody should look, though its state alone does not say so.
    """

    state: State
    what: str | None = None
    since: float | None = None
    cure: str | None = None
    alarming: bool = False

    @property
    def is_well(self) -> bool:
        """Whether nobody need look."""
        return self.state not in UNWELL and not self.alarming


def judge(
    name: str, record: Record, daemon: dict[str, Any] | None, now: float, *, silence: str | None = None, starting: bool = False
) -> Health:
    """How a handler is.

    :param daemon: its reply to ``status``; None where it does not run or does not answer. One of an older nectar says less.
    :param now: Unix seconds.
    :param silence: why a daemon that runs does not answer.
    :param starting: whether a command is about to start it.
    """
    if record.status != "running":
        if starting:
            return Health(state=State.STARTING, what="a command is starting it")
        if record.is_down:
            return Health(state=State.DEAD, what="it should run, and does not", cure=f"nectar start {name}")
        return Health(state=State.STOPPED)
    if daemon is None:
        return Health(state=State.UNRESPONSIVE, what=(silence or "").rstrip("."), cure=f"nectar restart {name}")
    if daemon.get("state") != "serving":
        return Health(state=State.STOPPING if daemon.get("state") == "stopping" else State.STARTING)
    return _failing(name, daemon) or _silent(name, daemon, now) or _busy(daemon, now) or _running(name, daemon)


def _failing(name: str, daemon: dict[str, Any]) -> Health | None:
    cure = f"nectar logs {name}"
    if daemon.get("failing"):
        return Health(state=State.FAILING, what=str(daemon["failing"]).rstrip("."), cure=cure)
    if errors := daemon.get("errors"):
        what = f"the last {errors['answers']} answers were errors or timeouts: {daemon.get('last_error') or ''}".rstrip(": .")
        return Health(state=State.FAILING, what=what, since=errors["since"], cure=cure)
    return None


def _silent(name: str, daemon: dict[str, Any], now: float) -> Health | None:
    seconds = daemon.get("silent")
    if not isinstance(seconds, (int, float)) or seconds < SILENT:
        return None
    problems = find_problems(daemon)
    waits = f"{daemon.get('queue')} waiting, and nothing is claimed"
    return Health(state=State.SILENT, what="; ".join(problems) or waits, since=now - seconds, cure=f"nectar logs {name}")


def _busy(daemon: dict[str, Any], now: float) -> Health | None:
    runs = [run for worker in daemon.get("workers", ()) for run in worker.get("runs", ())]
    oldest = min(runs, key=lambda run: run["since"], default=None)
    if oldest is None or now - oldest["since"] < BUSY:
        return None
    what = f"{oldest['alias']} {oldest['comp_id']}, {now - oldest['since']:.0f} s of {oldest['deadline']:g} s"
    problems = find_problems(daemon)
    return Health(state=State.BUSY, what="; ".join([what, *problems]), since=oldest["since"], alarming=bool(problems))


def _running(name: str, daemon: dict[str, Any]) -> Health:
    problems = find_problems(daemon)
    if not problems:
        return Health(state=State.RUNNING)
    return Health(state=State.RUNNING, what="; ".join(problems), cure=f"nectar logs {name}", alarming=True)


def find_problems(daemon: dict[str, Any]) -> list[str]:
    """Why it cannot answer for some of its aliases, a sentence for each."""
    served = daemon.get("aliases", {}).items()
    return [f"it cannot answer for {alias}: {each['problem']}" for alias, each in served if each.get("problem")]
