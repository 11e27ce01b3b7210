"""What has the name of a question and is none: left alone, told once, and looked at again where it may become one."""

from __future__ import annotations

from nectar.events import as_word, visible
from nectar.spool.entries import LINKED, PENDING

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from nectar.runtime.daemon.log import Seldom

DELIVERY = 60.0
"""Seconds for which a question that has two names is looked at again each second, and not only when all is listed."""
MOST = 4096
"""How many of these are looked at again, at most."""


class Oddities:
    """Those of one alias."""

    def __init__(self, alias: str, seldom: Seldom) -> None:
        self._alias = alias
        self._seldom = seldom
        self._listed: set[str] = set()
        self._linked: dict[str, float] = {}

    def listed(self, odd: Iterable[tuple[str, str]], deferred: Container[object]) -> list[str]:
        """Tell of what was listed before, too, and was not there for a moment under its writer's name for it.

        :param odd: names of files, each with the reason.
        :param deferred: ids that are about to be looked at again anyway.
        :returns: ids to look at again.
        """
        reasons = dict(odd)
        linked = {name.removesuffix(PENDING) for name, reason in reasons.items() if reason == LINKED}
        self._linked = {comp_id: since for comp_id, since in self._linked.items() if comp_id in linked or comp_id in deferred}
        fresh = [comp_id for comp_id in linked if comp_id not in self._linked][: max(0, MOST - len(self._linked))]
        for name in self._listed.intersection(reasons):
            self.tell(name, reasons[name])
        self._listed = {*reasons}
        return fresh

    def delivered(self, comp_id: str, now: float) -> bool:
        """Whether to look again soon at what has two names: until its writer removes the other, when it delivers by a link.

        :param now: monotonic seconds.
        """
        if comp_id not in self._linked and len(self._linked) >= MOST:
            self.tell(comp_id + PENDING, LINKED)
            return False  # a listing finds it when it is no link any more
        waited = now - self._linked.setdefault(comp_id, now)
        if waited > 0:
            self.tell(comp_id + PENDING, LINKED)
        return waited < DELIVERY

    def tell(self, name: str, reason: str) -> None:
        text = f"{visible(name)} is no question and is left alone: {reason}"
        self._seldom.once(f"{self._alias}/{name}", text, alias=as_word(self._alias))
