"""A handler that takes more than it may, for tests of what stands around it."""
# /// script
# [tool.nectar]
# memory_limit = "120MiB"
# sandbox_tmp = "64MiB"
# sandbox_processes = 24
# ///

import errno
import os
import resource
import signal
import time
from pathlib import Path

from nectar import Computation, handler


@handler
def behind(comp: Computation) -> int:
    word, _, rest = comp.query.partition(" ")
    return WAYS[word](int(rest or 0))


def number(value: int) -> int:
    return value


def pid(_: int) -> int:
    return os.getpid()


def pids(_: int) -> int:
    """How many there may be of them, and so of processes."""
    return int(Path("/proc/sys/kernel/pid_max").read_text())


def child(megabytes: int) -> int:
    """Have the memory of another process, whose parent is gone."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            kept = bytearray(megabytes << 20)
            kept[::4096] = b"x" * len(kept[::4096])
            time.sleep(60)
        os._exit(0)
    time.sleep(10)
    return 1


def shares(megabytes: int) -> int:
    """Have memory, and children that share it."""
    kept = bytearray(megabytes << 20)
    kept[::4096] = b"x" * len(kept[::4096])
    children = []
    for _ in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            time.sleep(60)
    time.sleep(1.5)
    for each in children:  # or they would count in what comes next
        os.kill(each, signal.SIGKILL)
        os.waitpid(each, 0)
    return 1


def files(megabytes: int) -> int:
    """Fill directories that are kept in memory: the first that is full ends it."""
    for directory in ("/tmp", "/dev/shm"):
        try:
            with open(f"{directory}/full", "wb", buffering=0) as file:
                file.writelines(bytes(1 << 20) for _ in range(megabytes))
        except OSError as error:
            return int(error.errno == errno.ENOSPC)
    time.sleep(10)
    return 0


def fork(count: int) -> int:
    """Have so many processes."""
    made = 0
    for _ in range(count):
        try:
            if os.fork() == 0:
                time.sleep(60)
        except BlockingIOError:
            return made
        made += 1
    time.sleep(10)
    return made


def dump(_: int) -> int:
    """Which picture of its memory a crash may leave, in bytes."""
    return resource.getrlimit(resource.RLIMIT_CORE)[1]


WAYS = {"number": number, "pid": pid, "pids": pids, "child": child, "shares": shares, "files": files, "fork": fork, "dump": dump}
