"""A handler that takes four seconds to load, and tells of each time in a file beside it."""

import os
import time
from pathlib import Path

from nectar import Computation, handler

LOADED = time.monotonic_ns()
LOADS = Path(os.environ["LOADS"])

with LOADS.open("a") as loads:
    loads.write(f"{LOADED}\n")
time.sleep(4)  # a successor is started as long before the deadline as the first one took, and may be slower by nearly this


@handler
def compute(comp: Computation) -> int:
    if comp.query == "stay":
        time.sleep(60)
    if comp.query == "until the next one loads":
        before = len(LOADS.read_text().splitlines())
        while len(LOADS.read_text().splitlines()) == before:
            time.sleep(0.02)
    return LOADED
