"""A handler whose parts run in threads, several at once."""

# /// script
# [tool.nectar]
# concurrency = 2
# ///
import threading

import nectar

TOGETHER = threading.Barrier(4)


@nectar.handler
def analyze(comp):
    if comp.query == "with":
        with nectar.executor() as pool:
            return pool.submit(abs, -1).result()
    return sum(nectar.executor().map(part, range(2)))


def part(number):
    TOGETHER.wait(60)
    print("part", number, "of", nectar.comp_id.get())
    return 1
