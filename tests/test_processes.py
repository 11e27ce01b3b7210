from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import processes
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


@pytest.fixture
def mark() -> str:
    return secrets.token_hex(8)


@pytest.fixture(params=["descriptors", "none"])
def _kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with descriptors of processes, and once as a Python is that was built without."""
    if request.param == "none":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
        monkeypatch.delattr(signal, "pidfd_send_signal", raising=False)


@contextmanager
def sleeping(mark: str, count: int = 1, *, code: str = "print(flush=True); import time; time.sleep(900)") -> Iterator[list[int]]:
    """Processes that carry a mark, in the middle of what they do; their PIDs."""
    environment = {**os.environ, processes.VARIABLE: f"{mark}/1-1/{secrets.token_hex(8)}"}
    started = [
        subprocess.Popen([sys.executable, "-S", "-c", code], env=environment, stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(count)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def is_there(pid: int) -> bool:
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.usefixtures("_kernel")
def test_marked_processes_are_killed_and_no_other(mark: str) -> None:
    with sleeping(mark, 3) as marked, sleeping(f"{mark}0") as others:
        until(lambda: processes.kill_marked(mark) == 0, "there is none left")
        assert not any(map(is_there, marked))
        assert all(map(is_there, others))


def test_a_pass_waits_for_none(mark: str) -> None:
    with sleeping(mark, 2) as marked:
        for pid in marked:
            os.kill(pid, signal.SIGSTOP)
        assert processes.kill_marked(mark) == 2


def test_killing_many_costs_what_killing_one_does(mark: str) -> None:
    spinning = "import os\nfor _ in range(59):\n  if not os.fork(): break\nprint(flush=True)\nwhile True: pass"
    with sleeping(mark, 2, code=spinning):
        begun = time.process_time()
        processes.end_marked(mark, seconds=60)
        assert time.process_time() - begun < 2
        assert processes.kill_marked(mark) == 0


@pytest.mark.usefixtures("_kernel")
def test_a_process_is_held_until_it_has_ended(mark: str) -> None:
    with sleeping(mark) as (pid,):
        process = processes.Process(pid)
        assert not process.ended(end=time.monotonic())
        process.send(signal.SIGKILL)
        assert process.ended(end=time.monotonic() + 60)
        assert not process.there
        process.close()
        with pytest.raises(ProcessLookupError):
            processes.Process(pid)


def test_a_kernel_that_refuses_descriptors_is_done_without(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_pid: int, _flags: int = 0) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refused)
    with sleeping(mark) as (pid,):
        until(lambda: processes.kill_marked(mark) == 0, "there is none left")
        assert not is_there(pid)
