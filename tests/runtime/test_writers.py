"""How writers deliver: under a temporary name that begins with a dot, as many do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.soak.ground import put

if TYPE_CHECKING:
    from tests.runtime.conftest import Running


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
        chameleon.until_logged(f"{node.alias}: {name}.pending is no question and is left alone: its name begins with a dot")
    assert node.ask("number 2")["result"] == {"value": 2}
    before = chameleon.log().count("begins with a dot")
    (node.directory / "touched").touch()  # so that all is listed again
    node.ask("number 3")
    assert chameleon.log().count("begins with a dot") == before == 2
    assert node.left() == ["._stays.pending", ".stays.pending", "touched"]
