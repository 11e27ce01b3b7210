"""What a handler tries to get out from behind its wall; and without one, to show that the tries can succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.docs.blocks import ROOT
from tests.hostile.escapes import TRIES
from tests.hostile.ground import Ground
from tests.hostile.ways import WAYS, make_rows

if TYPE_CHECKING:
    from tests.soak.table import Row
    from tests.world import World


@pytest.mark.uv
@pytest.mark.once
@needs.wall
@needs.no_wall("it launches one with and one without")
def test_nothing_gets_out(world: World, row: Row) -> None:
    with Ground(world) as ground:
        behind = ground.try_all("behind", "--sandbox", "--allow", "write=granted")
        without = ground.try_all("without")
    escaped = {name: found for name, found in behind.items() if found not in WAYS[name].behind}
    missed = {name: found for name, found in without.items() if WAYS[name].without not in ("root", "some", found)}
    succeeded = [found for found in without.values() if found == "done"]
    row(
        "a handler behind a wall gets out of it by none of them", tries=len(behind), without_it=len(succeeded), escaped=len(escaped)
    )
    assert not escaped
    assert not missed


def test_the_page_has_each_try_with_what_comes_of_it() -> None:
    assert [*WAYS] == [*TRIES]
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = page[page.index("| a handler tries to |") :].split("\n\n")[0]
    assert table.splitlines()[2:] == make_rows()
