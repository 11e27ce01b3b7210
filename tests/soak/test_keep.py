"""``nectar up --keep`` among handlers that are killed, all at once and again and again, and as the first process of a container."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import namelock
from nectar.manage.supervision import EARLY, MARGIN
from tests.soak.ground import LATE, LONG, need_root
from tests.soak.table import FRACTION, portion
from tests.world import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.soak.ground import Ground
    from tests.soak.table import Row
    from tests.world import World

LOADING = 1.0
STOP_TIMEOUT = 1.0


@contextmanager
def keeping(world: World, *wrap: str, words: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """``up --keep``, whose words go to a file."""
    with (world.directory / "kept").open("w") as told:
        process = subprocess.Popen(
            [*wrap, *world.command("up", "--keep", *words)], stdin=subprocess.DEVNULL, stdout=told, stderr=told, cwd=world.directory
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told(world: World) -> str:
    return (world.directory / "kept").read_text()


def other_daemons(world: World, pids: dict[str, int]) -> bool:
    """Whether each of the handlers runs, and has another daemon than it had."""
    holders = {name: namelock.find_holder(world.home, name) for name in pids}
    return all(holder is not None and holder.pid not in (None, pids[name]) for name, holder in holders.items())


def find_pids(world: World) -> dict[str, int]:
    return {name: record["pid"] for name, record in world.registry().items()}


def test_all_that_are_killed_at_once_come_back_and_all_end_in_time(
    grounds: Callable[[str], Ground], world: World, row: Row
) -> None:
    """Several are started at a time; one whose daemon is frozen, and one that is deaf, end no later than the others."""
    names = [f"h{number}" for number in range(portion(10, least=3))]
    for name in names:
        settings: dict[str, object] = {"stop_timeout": STOP_TIMEOUT}
        grounds(name).launch("--env", f"LOADING={LOADING}", settings=settings, noted=False)
    (node,) = grounds(names[0]).nodes()
    with keeping(world) as keeper:
        until(lambda: "Keeping" in told(world), "it keeps them")
        pids, begun = find_pids(world), time.monotonic()
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        until(lambda: other_daemons(world, pids), "they are back", seconds=LONG)
        back = time.monotonic() - begun
        until(lambda: told(world).count("✅") == len(names), "it knows")
        world.put("deaf", "deaf", alias=node.parents[1].name)
        until(lambda: not (node / "deaf.pending").exists(), "it runs")
        os.kill(find_pids(world)[names[1]], signal.SIGSTOP)
        begun = time.monotonic()
        keeper.terminate()
        code = keeper.wait(LONG)
        ended = time.monotonic() - begun
    row("all are back within 2 s, loading aside, and end within stop_timeout + 5 s", handlers=len(names), back=back, ended=ended)
    assert (code, told(world).splitlines()[-1]) == (0, "All have ended.")
    assert ended < STOP_TIMEOUT + MARGIN + 1
    assert back < LATE
    assert not any(namelock.is_running(world.home, name) for name in names)


def test_one_that_is_killed_after_ten_seconds_again_and_again_is_back_as_soon_each_time(ground: Ground, row: Row) -> None:
    world = ground.world
    kills = max(1, round(50 * FRACTION**2))
    ground.launch(noted=False)
    took = []
    with keeping(world):
        for _ in range(kills):
            started = world.registry()[ground.name]["started"]
            until(lambda started=started: time.time() > started + EARLY, "it has run for long", seconds=LONG)  # type: ignore[misc]
            pids, begun = find_pids(world), time.monotonic()
            os.kill(pids[ground.name], signal.SIGKILL)
            until(lambda pids=pids: other_daemons(world, pids), "it is back")  # type: ignore[misc]
            took.append(time.monotonic() - begun)
            recorded = (None, *pids.values())
            until(lambda recorded=recorded: find_pids(world)[ground.name] not in recorded, "it is recorded")  # type: ignore[misc]
        pauses = re.findall(r"ended without a stop; it is started again in ([\d.]+) s\.", told(world))
        log = world.run("logs", ground.name, "--no-follow", "-n", "10000").stdout
    row(
        "one that is killed after 10 s is back within 2 s, each time",
        kills=kills,
        longest=max(took),
        median=statistics.median(took),
    )
    assert pauses == ["0.5"] * kills
    assert max(took) < LATE
    assert log.count("ended without a stop") == kills


def test_the_first_process_of_a_container_reaps_what_it_inherits(ground: Ground) -> None:
    need_root()
    if shutil.which("unshare") is None:
        pytest.skip("no namespaces can be made here")
    world = ground.world
    world.node("alice")
    shutil.copy(Path(__file__).with_name("soaking.py"), world.directory / "soaking.py")
    file = world.file("hive.toml", "[handlers.h]\nsource = 'soaking.py'\naliases = ['alice']\nsettings = {stop_timeout = 0}\n")
    wrap = ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
    with keeping(world, *wrap, words=("-f", str(file))) as container:
        until(lambda: container.poll() is not None or "✅ Handler launched: h" in told(world), "it is there", seconds=LONG)
        if container.poll() is not None and "nectar" not in told(world):
            pytest.skip("no namespaces can be made here")
        ((keeper, _),) = find_children(container.pid)
        # What else it inherits, it has reaped a moment later.
        until(lambda: len(find_children(keeper)) == 1, "its only child is the daemon")
        ((daemon, _),) = find_children(keeper)
        world.put("family", "family")
        until(lambda: not (world.home.computations("alice") / "family.pending").exists(), "it runs, and has children")
        os.kill(daemon, signal.SIGKILL)
        until(lambda: "✅ Handler started: h" in told(world), "it is back")

        def is_clean() -> bool:
            children = find_children(keeper)
            return len(children) == 1 and children[0][0] != daemon and children[0][1] != "Z"

        until(is_clean, "of all that has ended, nothing is left")
        os.kill(keeper, signal.SIGTERM)
        assert container.wait(PATIENCE) == 0, told(world)
    assert not namelock.is_running(world.home, "h")
    assert world.registry()["h"]["desired"] == "running"


def find_children(parent: int) -> list[tuple[int, str]]:
    """PID and state of each child of a process, as ``/proc`` tells."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                state, of = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(of) == parent:
                found.append((int(directory.name), state))
    return found
