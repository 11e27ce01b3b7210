"""A handler of which several computations run at once in threads."""

import os
import threading
import time
from pathlib import Path

import nectar
from nectar import Computation, handler

LOADED = time.monotonic_ns()
TOGETHER = threading.Barrier(4)


@handler
def compute(comp: Computation) -> int:
    what, _, argument = comp.query.partition(" ")
    match what:
        case "meet":  # with three others
            TOGETHER.wait(60)
        case "wait":
            with open(f"{argument}.runs", "a") as runs:
                runs.write("x\n")
            while not Path(argument).exists():
                time.sleep(0.02)
        case "sleep":
            time.sleep(float(argument))
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
