"""A handler that does what its question says, for tests of what stands around a handler."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time

from nectar import Computation, handler

LOADED = time.monotonic_ns()


@handler
def chameleon(comp: Computation) -> int:
    word, _, rest = comp.query.partition(" ")
    return WAYS[word](rest)


def number(text: str) -> int:
    return int(text)


def collects(_text: str) -> int:
    return int(gc.isenabled())


def sleep(text: str) -> int:
    time.sleep(float(text))
    return 1


def wait(text: str) -> int:
    """For a file."""
    while not os.path.exists(text):
        time.sleep(0.02)
    return 1


def spin(text: str) -> int:
    """Never return, or where a file is named that is not there: only the first time."""
    if os.path.exists(text):
        return 1
    if text:
        open(text, "x").close()
    while True:
        pass


def native(_text: str) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock
    return 1


def family(text: str) -> int:
    """Leave processes behind in every way, and hang."""
    for session in (False, True):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=session)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    time.sleep(float(text))
    return 1


def segfault(_text: str) -> int:
    return len(ctypes.string_at(0))


def abort(_text: str) -> int:
    os.abort()


def leave(text: str) -> int:
    os._exit(int(text))


def kill(_text: str) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


def leave_politely(_text: str) -> int:
    sys.exit("bye")


def recurse(text: str) -> int:
    return recurse(text) + 1


def speak(text: str) -> int:
    print(text)
    sys.stderr.write("and in red: " + text + "\n")
    os.write(1, b"natively \x1b[31m" + text.encode() + b"\n")
    return 1


def mutter(text: str) -> int:
    print(text, end="", flush=True)
    return 1


def flood(text: str) -> int:
    for _ in range(int(text)):
        os.write(2, b"x" * 1_000_000)
    return 1


def deaf(_text: str) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.close()
    os.close(1)
    os.close(2)
    return 1


def close_everything(_text: str) -> int:
    os.closerange(3, 1000)
    return 1


def scribble(_text: str) -> int:
    for descriptor in range(3, 1000):
        try:
            os.write(descriptor, b"\0\0\0\x02\0\0\0\0{}" * 10)
        except OSError:
            continue
    return 1


def fork_and_return(_text: str) -> int:
    os.fork()
    return 1


def thread(_text: str) -> int:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return 1


def patch(_text: str) -> int:
    import json

    json.dumps = json.loads = json.JSONEncoder.encode = os.rename = os.write = None  # type: ignore[assignment]
    return 1


def wander(_text: str) -> int:
    os.chdir("/")
    os.umask(0o777)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return 1


def kind(text: str) -> object:
    return {"float": 1.5, "none": None, "text": "7", "true": True, "huge": 1 << 100_000, "negative": -1, "large": 1 << 40}[text]


def pid(_text: str) -> int:
    return os.getpid()


def loaded(_text: str) -> int:
    """Tell one worker from another, behind a wall, too, where each has the same PID."""
    return LOADED


def secret(text: str) -> int:
    raise ValueError(f"the handler says {text}")


def where(_text: str) -> int:
    print("at", os.getcwd(), __file__)
    return 1


WAYS = {
    "number": number,
    "collects": collects,
    "sleep": sleep,
    "wait": wait,
    "spin": spin,
    "native": native,
    "family": family,
    "segfault": segfault,
    "abort": abort,
    "leave": leave,
    "kill": kill,
    "exit": leave_politely,
    "recurse": recurse,
    "speak": speak,
    "mutter": mutter,
    "flood": flood,
    "deaf": deaf,
    "close": close_everything,
    "scribble": scribble,
    "fork": fork_and_return,
    "thread": thread,
    "patch": patch,
    "wander": wander,
    "kind": kind,
    "loaded": loaded,
    "pid": pid,
    "raise": secret,
    "where": where,
}
