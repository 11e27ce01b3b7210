"""How writers deliver: under a temporary name that begins with a dot, as many do, and by links."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import put

if TYPE_CHECKING:
    from tests.runtime.conftest import Running

pytestmark = pytest.mark.once


def test_a_temporary_name_that_begins_with_a_dot_is_the_writers_until_it_is_renamed(chameleon: Running) -> None:
    node = chameleon.attached()
    for number in range(20):
        aside = node.directory / f".q{number}.pending"
        aside.write_bytes(node.question(f"q{number}", f"number {number}"))
        time.sleep(0.05)  # for long enough that an event of it has been heard
        aside.rename(node.directory / f"q{number}.pending")
    values = [node.answer(f"q{number}")["result"] for number in range(20)]
    assert values == [{"value": number} for number in range(20)]
    assert node.left() == []


def test_a_name_that_begins_with_a_dot_and_stays_is_told_once(chameleon: Running) -> None:
    node = chameleon.attached()
    for name in (".stays", "._stays"):
        put(node.directory, name, "number 1")
    for name in (".stays", "._stays"):
        chameleon.until_logged(f"{node.alias} -: {name}.pending is no question and is left alone: its name begins with a dot")
    assert node.ask("number 2")["result"] == {"value": 2}

    def told() -> int:
        return sum(f" {node.alias} -: " in line and "begins with a dot" in line for line in chameleon.log().splitlines())

    assert told() == 2
    (node.directory / "touched").touch()  # so that all is listed again
    node.ask("number 3")
    assert told() == 2
    assert node.left() == ["._stays.pending", ".stays.pending", "touched"]


def test_what_is_delivered_by_a_link_is_answered_soon_after_its_other_name_is_gone(chameleon: Running) -> None:
    node = chameleon.attached()
    (node.directory / "tmp").mkdir()
    aside = node.directory / "tmp" / "m1"
    aside.write_bytes(node.question("m1", "number 7"))
    os.link(aside, node.directory / "m1.pending")
    chameleon.until_logged(f"{node.alias} -: m1.pending is no question and is left alone: it has more than one link")
    time.sleep(3)  # beyond what is listed again because it changed a moment ago
    aside.unlink()
    assert node.answer("m1", seconds=15)["result"] == {"value": 7}  # the next time that all is listed may be 30 s away
    assert chameleon.log().count(f"{node.alias} -: m1.pending is no question") == 1
