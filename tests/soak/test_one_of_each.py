"""One daemon a handler, one handler an alias, however many ask for it at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.soak.ground import Ground, Reader, kill, put
from tests.soak.table import portion
from tests.world import processes, until

if TYPE_CHECKING:
    from tests.soak.table import Row

MANY = 8


def test_launches_of_one_name_at_once(ground: Ground, row: Row) -> None:
    """As by ``test_commands_that_meet_and_are_killed``."""
    ground.launch(noted=False)
    directory = ground.node()
    file = ground.world.directory / "soaking.py"
    rounds = portion(200, shared=True)
    wrong, stopped, killed = [], 0, 0
    with Reader(directory) as reader:
        for number in range(rounds):
            if number % 2:
                kill(ground.daemon)
                killed += 1
                until(lambda: not ground.serves(), "it is dead")
            else:
                ground.world.run("stop", ground.name)
                stopped += 1
            verb = ("launch", file, ground.name) if number % 3 else ("start", ground.name)
            with ThreadPoolExecutor(MANY) as at_once:
                ended = [*at_once.map(lambda _, verb=verb: ground.world.run(*verb, code=None), range(MANY))]
            codes = sorted(each.returncode for each in ended)
            daemons = [pid for pid, line in processes(ground.world.directory).items() if line.rstrip().endswith("start.py daemon")]
            if codes != [0] + [4] * (MANY - 1) or len(daemons) != 1 or daemons != [ground.daemon]:
                wrong.append(f"{number} {verb}: {codes} {daemons} {[each.stderr for each in ended]}")
            put(directory, f"q{number}", "number 1")
            assert reader.until({f"q{number}"}) == set()
    row(
        f"{MANY} launches or starts of one name at once: one wins, {MANY - 1} say so with exit code 4, and there is one daemon",
        rounds=rounds,
        rounds_with_one_winner=rounds - len(wrong),
        after_a_stop=stopped,
        after_a_kill=killed,
    )
    assert wrong == []
    assert reader.twice() == []


def test_attaches_of_one_alias_at_once(grounds: Callable[[str], Ground], row: Row) -> None:
    """As by ``test_commands_that_meet_and_are_killed``."""
    handlers = [grounds(f"h{number}") for number in range(MANY)]
    for handler in handlers:
        handler.launch(noted=False)
    world = handlers[0].world
    directory = world.node()
    rounds = portion(200, shared=True)
    wrong = []
    begun = time.monotonic()
    with Reader(directory) as reader:
        for number in range(rounds):
            with ThreadPoolExecutor(MANY) as at_once:
                ended = [*at_once.map(lambda handler: world.run("attach", handler.name, "alice", code=None), handlers)]
            codes = [each.returncode for each in ended]
            having = [name for name, record in world.registry().items() if record["attached_aliases"]]
            if sorted(codes) != [0] + [4] * (MANY - 1) or having != [handlers[codes.index(0)].name]:
                wrong.append(f"{number}: {codes} {having} {[each.stderr for each in ended]}")
            put(directory, f"q{number}", "number 1")
            assert reader.until({f"q{number}"}) == set()
            for name in having:
                world.run("detach", name, "alice")
    row(
        f"{MANY} attaches of one alias by {MANY} handlers at once: one wins, {MANY - 1} say so with exit code 4, one has it",
        rounds=rounds,
        rounds_with_one_winner=rounds - len(wrong),
        rounds_a_second=rounds / (time.monotonic() - begun),
    )
    assert wrong == []
    assert reader.twice() == []
