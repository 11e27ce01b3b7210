# /// script
# [tool.nectar]
# concurrency = 4
# ///
"""A handler of which several computations run at once as tasks."""

import asyncio
import os
from pathlib import Path

import nectar
from nectar import Computation, handler

TOGETHER = asyncio.Barrier(4)


@handler
async def compute(comp: Computation) -> int:
    what, _, argument = comp.query.partition(" ")
    match what:
        case "meet":  # with three others
            await TOGETHER.wait()
        case "wait":
            with open(f"{argument}.runs", "a") as runs:
                runs.write("x\n")
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
        case "pid":
            return os.getpid()
    return int(nectar.comp_id.get() == comp.comp_id)
