"""A handler that prints in all the ways that Python has, in pieces, while others do the same."""

import asyncio
import contextvars
import logging
import os
import sys
import threading
import time

from nectar import Computation, handler

logging.basicConfig(format="%(message)s")  # on what is standard error when it is loaded
log = logging.getLogger("author")
LINES = 20


def say(comp: Computation) -> None:
    print(comp.comp_id, "prints", 7)
    sys.stderr.write(f"{comp.comp_id} writes")
    time.sleep(0.001)
    print(" half", "a", "line", file=sys.stderr)
    log.warning("%s logs", comp.comp_id)
    sys.stdout.buffer.write(f"{comp.comp_id} writes bytes\n".encode())


def end(comp: Computation) -> int:
    assert (sys.stdout.mode, sys.stderr.mode) == ("w", "w")  # libraries look at it
    beside = threading.Thread(target=contextvars.copy_context().run, args=(print, comp.comp_id, "has a thread"))
    beside.start()
    beside.join()
    os.write(1, f"{comp.comp_id} is below\n".encode())
    print(comp.comp_id, "x" * 20_000)
    print(comp.comp_id, "does not end", end="", flush=True)
    if comp.query == "die":
        os._exit(3)
    return 1


def say_little(comp: Computation) -> int:
    print(comp.comp_id, "is brief")
    return 1


@handler
def plain(comp: Computation) -> int:
    if comp.query == "briefly":
        return say_little(comp)
    for _ in range(LINES):
        say(comp)
    return end(comp)


@handler
async def tasks(comp: Computation) -> int:
    if comp.query == "briefly":
        return say_little(comp)
    for _ in range(LINES):
        say(comp)
        await asyncio.sleep(0)
        await asyncio.to_thread(say, comp)
    return end(comp)
