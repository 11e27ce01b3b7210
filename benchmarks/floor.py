"""The least that answers questions: what a daemon costs that keeps none of nectar's promises.

``python floor.py AHEAD DIRECTORY…`` answers for these nodes with the length of the query. AHEAD is how many questions the worker is
sent before an answer is read: 1 is one at a time, more is pipelined.

It does what the protocol cannot do without, as one would write it in an hour: it learns of questions from inotify, reads each, has a
process of its own run the function, writes the answer aside, renames it into place, and unlinks the question. It leaves out all else.
A question is lost when one of the two dies, is answered twice when that happens in between, and ends both when it is not whole or makes
the function raise. No deadline is kept, nodes take no turns, a flood of events loses some, nobody notices that a second one
serves the directory, nothing is logged or counted, and nothing can be changed while it runs.
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

IN_CLOSE_WRITE, IN_MOVED_TO = 0x8, 0x80


def watch(directories: list[str], events: int) -> tuple[int, dict[int, str]]:
    """A descriptor of inotify, and the directories by the numbers that its events have."""
    libc = ctypes.CDLL(None)
    notices = libc.inotify_init1(os.O_CLOEXEC)
    return notices, {libc.inotify_add_watch(notices, os.fsencode(path), events): path for path in directories}


def read_events(notices: int) -> Iterator[tuple[int, str]]:
    """The number of the directory and the name of the file, of each event that there is; waits for the first."""
    told, at = os.read(notices, 1 << 16), 0
    while at < len(told):
        number, length = (int.from_bytes(told[at + skip : at + skip + 4], sys.byteorder) for skip in (0, 12))
        yield number, told[at + 16 : at + 16 + length].rstrip(b"\0").decode()
        at += 16 + length


def find_questions(directories: list[str]) -> Iterator[list[str]]:
    """The path of each question without its ending, in lists of those that are there at the same time."""
    notices, numbers = watch(directories, IN_CLOSE_WRITE | IN_MOVED_TO)
    found = [(number, name) for number, path in numbers.items() for name in os.listdir(path)]
    while True:
        yield [f"{numbers[number]}/{name[:-8]}" for number, name in found if name.endswith(".pending")]
        found = list(read_events(notices))


def serve(ahead: int, directories: list[str]) -> None:
    worker = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for questions in find_questions(directories):
        for first in range(0, len(questions), ahead):
            sent = questions[first : first + ahead]
            for path in sent:
                with open(f"{path}.pending", "rb") as file:
                    worker.stdin.write(file.read().replace(b"\n", b" ") + b"\n")
            worker.stdin.flush()
            for path in sent:
                publish(path, worker.stdout.readline())


def publish(path: str, answer: bytes) -> None:
    with open(f"{path}.aside", "wb") as file:
        file.write(answer)
    os.rename(f"{path}.aside", f"{path}.complete")
    os.unlink(f"{path}.pending")


def work() -> None:
    for line in sys.stdin.buffer:
        question = json.loads(line)
        begun = time.perf_counter()
        fields = {"comp_id": question["comp_id"], "status": "success", "result": {"value": analyze(question)}, "error": None}
        print(json.dumps({**fields, "execution_time": time.perf_counter() - begun}), flush=True)


def analyze(question: dict[str, str]) -> int:
    return len(question["query"])


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2:]) if sys.argv[1:] else work()
