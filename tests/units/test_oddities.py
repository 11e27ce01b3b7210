"""What has a question's name and is none, told and looked at again within bounds."""

from __future__ import annotations

from nectar.runtime.daemon.aliases.oddities import DELIVERY, MOST, Oddities
from nectar.runtime.daemon.log import Seldom


def test_links_are_looked_at_again_for_a_while_and_not_without_bound() -> None:
    oddities = Oddities("alice", Seldom(lambda _text, _kind="", _alias="", _computation="": None, lambda: 0.0))
    assert all(oddities.delivered(f"q{number}", 0.0) for number in range(MOST))
    assert not oddities.delivered("one more", 0.0)
    assert oddities.delivered("q1", DELIVERY - 1)
    assert not oddities.delivered("q1", DELIVERY)
