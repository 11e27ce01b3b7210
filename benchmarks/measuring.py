"""What the kernel tells of processes, and of the computer."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BUSY = 0.2
"""So many processors' worth of others' work makes a measurement a busy one."""


def cpu_seconds(pids: Sequence[int]) -> float:
    """What these processes have had of the processors, all of their threads; exact, where ``/proc/PID/stat`` counts in ticks of 10 ms."""
    return sum(int(told.split()[0]) for told in _of_threads(pids, "schedstat")) / 1e9


def count_wakings(pids: Sequence[int]) -> int:
    """How often they have waited for something, and been woken."""
    return sum(int(told.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for told in _of_threads(pids, "status"))


def proportional_size(pids: Sequence[int]) -> float:
    """Megabytes that they have in memory; of what several have together, each has its part."""
    sizes = [re.search(r"^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE) for pid in pids]
    return sum(int(size[1]) for size in sizes if size) / 1024


def largest_size(pid: int) -> float:
    """Megabytes of memory that a process has had at most."""
    told = Path(f"/proc/{pid}/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


def bytes_written(pids: Sequence[int]) -> int:
    """To files and to pipes."""
    return sum(int(Path(f"/proc/{pid}/io").read_text().partition("wchar:")[2].split()[0]) for pid in pids)


def _of_threads(pids: Sequence[int], file: str) -> Iterator[str]:
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            yield Path(f"/proc/{pid}/task/{thread}/{file}").read_text()


def list_children(pid: int) -> list[int]:
    return [int(child) for told in _of_threads([pid], "children") for child in told.split()]


def count_calls(pids: Sequence[int], act: Callable[[], object]) -> int | None:
    """System calls of these processes while something is done; None where strace is not here, or may not look."""
    if shutil.which("strace") is None:
        return None
    with tempfile.NamedTemporaryFile("r") as counts:
        command = ["strace", "-f", "-c", "-o", counts.name, *(word for pid in pids for word in ("-p", str(pid)))]
        strace = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            missing = set(pids)
            while missing:
                said = strace.stderr.readline() if strace.stderr else ""
                if not said:
                    return None
                missing -= {int(pid) for pid in re.findall(r"Process (\d+) attached", said)}
            act()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate()
        total = counts.read().splitlines()[-1].split()
        return int(total[3])


@contextmanager
def hogs(count: int) -> Iterator[list[int]]:
    """So many processes that take what they get of the processors; gives their PIDs."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def watch_others(ours: Sequence[int], shares: list[float]) -> Iterator[None]:
    """Add to a list how many processors others than this process and these kept busy meanwhile."""
    begun, before = time.perf_counter(), _seconds_of_others(ours)
    yield
    shares.append((_seconds_of_others(ours) - before) / (time.perf_counter() - begun))


def _seconds_of_others(ours: Sequence[int]) -> float:
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    busy = (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
    return busy - time.process_time() - cpu_seconds(ours)


def describe_computer(directory: Path) -> dict[str, object]:
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": model[1] if model else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "directory": str(directory),
        "load": os.getloadavg()[0],
    }
