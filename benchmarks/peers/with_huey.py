"""The trivial handler as a task of huey's, with SQLite."""

import json
import os

from huey import SqliteHuey

huey = SqliteHuey(filename=os.environ["BENCH_HUEY"], fsync=False)


@huey.task()
def analyze(text: str) -> int:
    return len(json.loads(text)["query"])
