"""The handler of the soak tests: it does what its question says, and notes each run where ``RUNS`` says."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from nectar import Computation, handler

RUNS = os.environ.get("RUNS")
time.sleep(float(os.environ.get("LOADING", "0")))


@handler
def soaking(comp: Computation) -> int:
    note(comp.comp_id, "begin")
    word, _, rest = comp.query.partition(" ")
    value = WAYS[word](rest)
    note(comp.comp_id, "end")
    return value


def note(comp_id: str, what: str) -> None:
    if RUNS is not None:
        file = os.open(RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{comp_id} {what} {os.getpid()}\n".encode())
        os.close(file)


def number(text: str) -> int:
    return int(text)


def work(text: str) -> int:
    """``VALUE MILLISECONDS``"""
    value, milliseconds = text.split()
    time.sleep(float(milliseconds) / 1000)
    return int(value)


def length(text: str) -> int:
    return len(text)


def fail(text: str) -> int:
    raise ValueError(text)


def spin(_text: str) -> int:
    while True:
        pass


def native(_text: str) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock
    return 1


def deaf(_text: str) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)
    return 1


def family(_text: str) -> int:
    for session in (False, True):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=session)
        note("child", f"of {child.pid}")
    time.sleep(3600)
    return 1


def spinners(text: str) -> int:
    for _ in range(int(text)):
        if os.fork() == 0:
            os.setsid()
            spin("")
    time.sleep(3600)
    return 1


def pid(_text: str) -> int:
    return os.getpid()


WAYS = {
    "number": number,
    "work": work,
    "length": length,
    "fail": fail,
    "spin": spin,
    "native": native,
    "deaf": deaf,
    "family": family,
    "spinners": spinners,
    "pid": pid,
}
