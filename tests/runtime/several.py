# /// script
# [tool.nectar]
# concurrency = 4
# ///
"""A handler of which several computations run at once: in threads, or as tasks."""

import asyncio
import os
import threading
import time
from pathlib import Path

import nectar
from nectar import Computation, handler

LOADED = time.monotonic_ns()
IN_THREADS, AS_TASKS = threading.Barrier(4), asyncio.Barrier(4)


@handler
def threads(comp: Computation) -> int:
    what, _, argument = comp.query.partition(" ")
    match what:
        case "meet":  # with three others
            IN_THREADS.wait(60)
        case "wait":
            note(argument)
            while not Path(argument).exists():
                time.sleep(0.02)
        case "sleep":
            time.sleep(float(argument))
    return do(comp, what, argument)


@handler
async def tasks(comp: Computation) -> int:
    what, _, argument = comp.query.partition(" ")
    match what:
        case "meet":
            await AS_TASKS.wait()
        case "wait":
            note(argument)
            while not Path(argument).exists():
                await asyncio.sleep(0.02)
        case "sleep":
            await asyncio.sleep(float(argument))
        case "stay":
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    pass
    return do(comp, what, argument)


def note(file: str) -> None:
    with open(f"{file}.runs", "a") as runs:
        runs.write("x\n")


def do(comp: Computation, what: str, argument: str) -> int:
    """What is the same in both."""
    match what:
        case "spin":
            while True:
                pass
        case "raise":
            raise StopIteration(argument)
        case "exit":
            raise SystemExit(argument)
        case "fork":
            if pid := os.fork():
                os.waitpid(pid, 0)
        case "kill":
            os.kill(os.getpid(), 9)
        case "loaded":
            return LOADED
    return int(nectar.comp_id.get() == comp.comp_id)
