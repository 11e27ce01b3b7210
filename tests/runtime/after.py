"""A handler that looks after its answers, in the way that a question asks for."""

import os
import signal
import time
from pathlib import Path

import nectar
from nectar import Computation, ComputationResult, handler, hookimpl

CALLED: list[str] = []
LOADED = time.monotonic_ns()


@handler
def compute(comp: Computation) -> int:
    if comp.query == "fail":
        raise ValueError(comp.query)
    return LOADED if comp.query == "loaded" else len(CALLED)


@hookimpl
def nectar_answered(computation: Computation, result: ComputationResult) -> None:
    CALLED.append(nectar.comp_id.get())
    print(f"after {computation.comp_id} {nectar.comp_id.get()}: {result}")
    what, _, argument = computation.query.partition(" ")
    match what:
        case "sleep":
            time.sleep(float(argument))
        case "wait":
            while not Path(argument).exists():
                time.sleep(0.02)
        case "raise":
            raise OSError(argument)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "fork":
            if pid := os.fork():
                os.waitpid(pid, 0)
        case "break":
            import builtins

            builtins.dict = builtins.len = None  # type: ignore[assignment, misc]
