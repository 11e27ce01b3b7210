"""What a handler prints is in its log line by line, with the computation that printed it."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.saying import LINES
from tests.world import until

if TYPE_CHECKING:
    from tests.world import World

QUICK = 200
SAID = ("prints 7", "writes half a line", "logs", "writes bytes")


@pytest.mark.parametrize(("function", "concurrency"), [("plain", 1), ("plain", 4), ("tasks", 4)])
def test_each_line_is_whole_and_its_own_computations(world: World, function: str, concurrency: int) -> None:
    file = world.directory / "saying.py"
    shutil.copy(Path(__file__).with_name("saying.py"), file)
    world.node()
    world.run("launch", file, "--handler", function, "--concurrency", str(concurrency), "--attach", "alice")
    names = [f"q{number}" for number in range(6)]
    for name in names:
        world.put(name)
    assert all(world.answer(name)["status"] == "success" for name in names)
    quick = [f"b{number}" for number in range(QUICK)]  # one begins while the answer before it is published
    for name in quick:
        world.put(name, "briefly")
    assert all(world.answer(name)["status"] == "success" for name in quick)
    world.put("last", "die")
    assert world.answer("last")["status"] == "error"
    log = world.home.log("saying")
    until(lambda: log.read_text().count("does not end") == len(names) + 1, "all is in the log")
    printed = Counter(re.findall(r" PRINT   (?:- -: )?(.*)\n", log.read_text()))
    assert [printed.pop(f"alice {name}: {name} is brief", 0) for name in quick] == [1] * QUICK
    times = LINES * (2 if function == "tasks" else 1)
    for name in (*names, "last"):
        mine = f"alice {name}: {name}"
        assert [printed.pop(f"{mine} {text}") for text in SAID] == [times] * len(SAID)
        assert printed.pop(f"{mine} has a thread") == 1
        assert printed.pop(f"{mine} does not end") == 1
        below = f"{name} is below"
        assert printed.pop(f"alice {below}".replace(name, f"{name}: {name}", 1) if concurrency == 1 else below) == 1
        parts = [
            f"{mine} " + "x" * (8191 - len(name)),
            f"alice {name}: " + "x" * 8192,
            f"alice {name}: " + "x" * (3617 + len(name)),
        ]
        assert [printed[part] > 0 for part in parts] == [True] * 3
        for part in parts:
            printed[part] -= 1
    assert not +printed
