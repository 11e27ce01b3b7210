"""Somebody removes or replaces what a daemon holds, at any moment and while it is asked: nothing is lost, and it is not left behind."""

from __future__ import annotations

import random
import shutil
import threading
import time
from typing import TYPE_CHECKING

from tests.soak.ground import HELD_UP, LATE, Ground, Reader, gone, put, seconds_until, until_gone
from tests.soak.table import portion
from tests.world import paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home
    from tests.soak.table import Row


def replace(home: Home, name: str) -> None:
    aside = home.handlers / "aside"
    aside.touch()
    aside.rename(home.lock(name))


def remove_both(home: Home, name: str) -> None:
    home.socket(name).unlink(missing_ok=True)
    home.lock(name).unlink()


ROBBERIES: list[Callable[[Home, str], object]] = [
    lambda home, name: home.lock(name).unlink(),
    lambda home, name: home.lock(name).rename(home.nectar / "moved"),
    lambda home, _: shutil.rmtree(home.handlers),
    replace,
    remove_both,
]


def test_robbed_as_it_is_asked(ground: Ground, row: Row) -> None:
    """Half of the robbed are left to end by themselves; the others meet the next command at any moment of that."""
    ground.launch("--workers", "2", settings={"stop_timeout": 4})
    directory = ground.node()
    rounds = portion(60, least=len(ROBBERIES) + 1)
    chance = random.Random(7)
    asked: dict[str, int] = {}
    held_up: set[str] = set()
    ending = threading.Event()

    def write() -> None:
        while not ending.is_set():
            number = len(asked)
            asked[f"q{number}"] = number
            if put(directory, f"q{number}", f"work {number} 5", in_place=number % 2 == 0) >= HELD_UP:
                held_up.add(f"q{number}")
            time.sleep(0.02)

    longest, lived_on, met = 0.0, 0, 0
    with Reader(directory) as reader:
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for number in range(rounds):
            time.sleep(chance.random())
            daemon = ground.daemon
            with paused(ground.daemon):
                ROBBERIES[number % len(ROBBERIES)](ground.home, ground.name)
            if chance.random() < 0.5:
                longest = max(longest, until_gone(daemon))
            else:
                time.sleep(1.5 * chance.random())
                met += not gone(daemon)
                verb = chance.choice(["stop", "start", "restart"])
                ground.world.run(verb, ground.name)
                lived_on += not gone(daemon)
            if not ground.serves():
                ground.world.run("start", ground.name)
        ending.set()
        writer.join()
        lost = reader.until(set(asked))
    wrong = [comp_id for comp_id, number in asked.items() if comp_id not in lost | held_up and reader.value(comp_id) != number]
    row(
        "a daemon's lock, or all of handlers/, is removed or replaced as it is asked: it ends in order, and no command leaves it behind",
        rounds=rounds,
        asked=len(asked),
        lost=len(lost),
        wrong_twice_or_torn=len(wrong) + len(reader.twice()) + len(reader.torn),
        longest_s_to_its_end=longest,
        met_by_a_command_before_that=met,
        lived_on_after_a_command=lived_on,
    )
    assert (lost, wrong, reader.twice(), reader.torn) == (set(), [], [], [])
    assert lived_on == 0
    assert longest < LATE


def test_socket_and_log_are_made_anew_as_it_is_asked(ground: Ground, row: Row) -> None:
    ground.launch()
    directory = ground.node()
    daemon = ground.daemon
    rounds = portion(60, least=4)
    worst = 0.0
    unanswered = 0
    log, socket = ground.home.log(ground.name), ground.home.socket(ground.name)

    def both() -> bool:
        return log.exists() and ground.serves()

    with Reader(directory) as reader:
        for number in range(rounds):
            with paused(ground.daemon):
                if number % 2:
                    log.rename(log.with_name(f"{log.name}.1"))
                else:
                    shutil.rmtree(log.parent)
                socket.unlink()
            put(directory, f"q{number}", f"number {number}")
            worst = max(worst, seconds_until(both, "both are there again"))
            unanswered += len(reader.until({f"q{number}"}))
    row(
        "a daemon's log and socket are moved or removed: both are there again within 2 s, and questions are answered meanwhile",
        rounds=rounds,
        unanswered=unanswered,
        longest_s=worst,
        same_daemon=ground.daemon == daemon,
    )
    assert unanswered == 0
    assert worst < LATE
    assert ground.daemon == daemon
