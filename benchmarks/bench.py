"""Speeds, each beside something that is measured in turns with it: ``nox -s bench`` prints the table. A bench asserts nothing."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import BUSY, describe_computer, watch_others
from rows_answers import at_once, calls, large, one_at_a_time, side_by_side, under_load
from rows_commands import commands
from rows_launches import launches
from rows_life import idle, overstaying, restart
from rows_many import aliases, backlog, handlers
from rows_peers import HEADS as HEADS_OF_PEERS
from rows_peers import Peer, beside_the_fastest, compare
from rows_scale import capacity, scale
from rows_walls import walls
from systems import World
from table import Row, draw

import nectar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Group = Callable[[World], Iterator[Row]]

GROUPS: tuple[Group, ...] = (
    one_at_a_time,
    at_once,
    calls,
    under_load,
    large,
    side_by_side,
    idle,
    overstaying,
    commands,
    launches,
    restart,
    walls,
)
LONG: tuple[Group, ...] = (backlog, aliases, handlers)
SCALE: tuple[Group, ...] = (scale, capacity)
HEADS = ["what", "ours", "beside", "ratio", "goal", "reached"]
SHARED_MEMORY = Path("/dev/shm")


def measure(groups: list[Group], world: World) -> Iterator[Row]:
    """The rows of these groups; those that others worked beside have it in ``busy``."""
    for group in groups:
        print(f"{group.__name__.replace('_', ' ')} …", file=sys.stderr, flush=True)
        world.others.clear()
        look_around(world)
        rows = list(group(world))
        look_around(world)
        for row in rows:
            row.busy.extend(share for share in world.others if share > BUSY)
        yield from rows


def look_around(world: World) -> None:
    """Look what others do while nothing of ours does anything."""
    with watch_others([], world.others):
        time.sleep(0.3)


def choose_directory() -> str:
    """Where questions lie in memory; elsewhere a disk would be measured."""
    return str(SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else tempfile.gettempdir())


def main() -> None:
    options = read_options()
    chosen = [
        group
        for group in GROUPS + LONG * options.long + SCALE * options.scale
        if not options.groups or group.__name__ in options.groups
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # all that was started is ended on the way out
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it, each command would be compiled anew
    begun = time.monotonic()
    made = tempfile.TemporaryDirectory(prefix="nectar-bench-", dir=choose_directory())
    with made as directory, World(Path(directory), options.rounds) as world:
        computer = {"nectar": nectar.__version__, **describe_computer(world.directory.parent)}
        peers: list[Peer] = []

        def beside_peers(world: World) -> Iterator[Row]:
            peers.extend(compare(world))
            yield beside_the_fastest(peers)

        rows = list(measure([*chosen, *[beside_peers] * options.peers], world))
    computer |= {"date": datetime.now(tz=UTC).isoformat(timespec="seconds"), "seconds": round(time.monotonic() - begun)}
    if options.json:
        mappings = {"rows": [row.to_mapping() for row in rows], "peers": [peer.to_mapping() for peer in peers]}
        print(json.dumps({"schema": 1, "computer": computer, **mappings}))
        return
    print(*(f"{name}: {value}" for name, value in computer.items()), sep=", ")
    print(draw(HEADS, [row.to_cells() for row in rows]))
    if peers:
        print(draw(HEADS_OF_PEERS, [peer.to_cells() for peer in peers]))


def read_options() -> argparse.Namespace:
    names = ", ".join(group.__name__ for group in (*GROUPS, *LONG, *SCALE))
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"only these: {names}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured, in turns (default: 5)")
    parser.add_argument("--long", action="store_true", help="the rows that take long, too")
    parser.add_argument("--scale", action="store_true", help="what a question costs on an engine, too")
    parser.add_argument("--peers", action="store_true", help="others that answer questions, beside nectar")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
