"""Who asks huey, whose questions are no files.

It reads a line for each thing that it is to do: ``one PATH`` writes the answer into a file, ``in-turn COUNT`` and ``at-once COUNT`` print
seconds. A burst is written while it is answered already.
"""

import json
import os
import sys
import time

from with_huey import analyze, huey


def ask_once() -> int:
    answer = analyze(os.environ["BENCH_QUESTION"])
    while (value := answer.get()) is None:
        time.sleep(0.0002)
    return value


def ask_in_turn(count: int) -> list[float]:
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        ask_once()
        took.append(time.perf_counter() - begun)
    return took


def ask_at_once(count: int) -> float:
    begun = time.perf_counter()
    answers = [analyze(os.environ["BENCH_QUESTION"]) for _ in range(count)]
    while huey.storage.result_store_size() < count:
        time.sleep(0.001)
    took = time.perf_counter() - begun
    for answer in answers:
        answer.get()
    return took


if __name__ == "__main__":
    for line in sys.stdin:
        what, word = line.split()
        if what == "one":
            value = ask_once()
            with open(f"{word}.aside", "w", encoding="utf-8") as file:
                file.write(str(value))
            os.rename(f"{word}.aside", word)
        else:
            print(json.dumps(ask_in_turn(int(word)) if what == "in-turn" else ask_at_once(int(word))), flush=True)
