"""A Dask client without nectar, which does what it is told on standard input: ``ONE 100`` is a hundred tasks, each when the one before is
done, and ``MANY 100`` a hundred at once. It prints seconds for each, a list in a line.

``python bare.py ADDRESS``
"""

from __future__ import annotations

import json
import sys
import time

from distributed import Client

QUERY = "How many of you are there?"


def main() -> None:
    client = Client(sys.argv[1], timeout=30)
    print(json.dumps([]), flush=True)
    for line in sys.stdin:
        what, count = line.split()
        print(json.dumps((one if what == "ONE" else many)(client, int(count))), flush=True)


def one(client: Client, count: int) -> list[float]:
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        client.submit(len, QUERY, pure=False).result()
        took.append(time.perf_counter() - begun)
    return took


def many(client: Client, count: int) -> list[float]:
    begun = time.perf_counter()
    client.gather([client.submit(len, QUERY, pure=False) for _ in range(count)])
    return [time.perf_counter() - begun]


if __name__ == "__main__":
    main()
