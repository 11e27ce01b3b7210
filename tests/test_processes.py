from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import proc, processes
from tests import needs
from tests.soak.ground import mounted, need_root
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs.proc


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
def sleeping(
    mark: str, count: int = 1, *, daemon: str = "1-1", wrap: tuple[str, ...] = (), code: str = "print(os.getpid(), flush=True)"
) -> Iterator[list[int]]:
    """Processes that carry a mark, in the middle of what they do; their PIDs.

    :param daemon: what the mark says of who started it.
    :param wrap: a command that runs them, and whose own mark does not count.
    """
    carried = f"{processes.VARIABLE}={mark}/{daemon}/{secrets.token_hex(8)}"
    code = f"import os, time\n{code}\ntime.sleep(900)"
    command = [*wrap, "env", carried, sys.executable, "-S", "-c", code]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield [pid for process in started for pid in [process.pid, *children(process.pid)] if carries(pid, carried)]
    finally:
        for process in started:
            process.kill()
            process.communicate()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def carries(pid: int, variable: str) -> bool:
    return variable.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def is_there(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("_kernel")
def test_marked_processes_are_killed_and_no_other(mark: str) -> None:
    with sleeping(mark, 3) as marked, sleeping(f"{mark}0") as others:
        until(lambda: processes.kill_marked(mark) == 0, "there is none left")
        until(lambda: not any(map(is_there, marked)), "they have ended")  # what they carry is gone a moment before
        assert all(map(is_there, others))


def test_a_pass_waits_for_none(mark: str) -> None:
    with sleeping(mark, 2) as marked:
        for pid in marked:
            os.kill(pid, signal.SIGSTOP)
        assert processes.kill_marked(mark) == 2


def test_killing_many_costs_what_killing_one_does(mark: str) -> None:
    spinning = "for _ in range(59):\n  if not os.fork(): break\nprint(flush=True)\nwhile True: pass"
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
        until(lambda: not is_there(pid), "it has ended")


HERE = proc.read_namespace("self")
NOBODY = f"{2**22 - 1}-1"
"""A daemon that is not there, as 0.1.0 wrote it."""


@pytest.fixture
def foreign() -> tuple[str, ...]:
    """A command that runs another in a PID namespace of its own."""
    wrap = ("unshare", "--pid", "--fork", "--kill-child")
    if shutil.which("unshare") is None or subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no PID namespace can be made here")
    return wrap


@pytest.fixture
def legacy(tmp_path: Path) -> str:
    """What marks ``h`` in 0.1.0."""
    return processes.marks(tmp_path, "h")[1]


MOVED_VARIABLES = """
import ctypes, struct, time
libc = ctypes.CDLL(None)
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.sbrk.restype = ctypes.c_void_p
size, end = 1 << 26, b"\\0NECTAR_LAST=1\\0"
place = libc.mmap(None, size, 3, 0x4022, -1, 0)
ctypes.memmove(place + size - len(end), end, len(end))
fields = [int(each) for each in open("/proc/self/stat").read().rpartition(")")[2].split()[1:]]
where = [*fields[22:24], *fields[41:43], fields[43], libc.sbrk(0), fields[24], *fields[44:46], place, place + size - 1]
told = struct.pack("<12QIi", *where, 0, 0, -1)
print("moved" if libc.prctl(35, 14, told, ctypes.c_ulong(len(told)), 0) == 0 else "refused", flush=True)
time.sleep(900)
"""
"""A process that has its variables where 64 MiB of nothing are, and then one of ours."""


def test_a_process_that_says_it_has_more_variables_than_there_can_be_is_not_believed() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", MOVED_VARIABLES], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "moved\n":
                pytest.skip("the kernel lets no process say that")
            assert proc.read_variables(process.pid) == {}
        finally:
            process.kill()


def test_what_marks_a_handler_is_what_its_data_dir_is_and_not_where(tmp_path: Path) -> None:
    for name in ("original", "copy"):
        (tmp_path / name).mkdir()
    original = processes.handler_mark(tmp_path / "original", "h")
    assert processes.handler_mark(tmp_path / "copy", "h") != original
    assert processes.handler_mark(tmp_path / "original", "i") != original
    (tmp_path / "link").symlink_to("original")
    assert processes.handler_mark(tmp_path / "link", "h") == original
    (tmp_path / "original").rename(tmp_path / "moved")
    assert processes.handler_mark(tmp_path / "moved", "h") == original
    (tmp_path / "copy").rename(tmp_path / "original")
    assert processes.handler_mark(tmp_path / "original", "h") != original


@pytest.mark.once
def test_on_an_overlay_whose_inodes_come_and_go_a_mark_stays(tmp_path: Path) -> None:
    """There a directory has another number when the kernel has forgotten it, where the layers are on different file systems."""
    with mounted(tmp_path / "lower"), mounted(tmp_path / "upper"):
        layers = {"lowerdir": "lower", "upperdir": "upper/up", "workdir": "upper/work"}
        for layer in layers.values():
            (tmp_path / layer).mkdir(exist_ok=True)
        options = ",".join(f"{key}={tmp_path / layer}" for key, layer in layers.items())
        with mounted(tmp_path / "merged", "-o", options, kind="overlay", source="overlay") as merged:
            (merged / "data").mkdir()
            number, mark = (merged / "data").stat().st_ino, processes.handler_mark(merged / "data", "h")
            try:
                Path("/proc/sys/vm/drop_caches").write_text("2")
            except OSError:
                pytest.skip("the kernel cannot be made to forget here")
            if (merged / "data").stat().st_ino == number:
                pytest.skip("this kernel gives lasting numbers")
            assert processes.handler_mark(merged / "data", "h") == mark
            (merged / "other").mkdir()
            assert processes.handler_mark(merged / "other", "h") != mark


def test_orphans_are_ended_and_the_worker_of_a_daemon_that_lives_is_not(tmp_path: Path, legacy: str) -> None:
    mark = processes.handler_mark(tmp_path, "h")
    alive = processes.daemon_mark(mark).partition("/")[2]
    with (
        sleeping(mark, daemon=f"{NOBODY}-{HERE}") as orphans,
        sleeping(legacy, daemon=NOBODY) as old,
        sleeping(mark, daemon=alive) as workers,
        sleeping(processes.handler_mark(tmp_path, "i"), daemon=f"{NOBODY}-{HERE}") as others,
    ):
        processes.end_orphans(tmp_path, "h", seconds=60)
        until(lambda: not any(map(is_there, orphans + old)), "they have ended")
        assert all(map(is_there, workers + others))
        assert processes.unproven(tmp_path, "h") == []


def test_in_another_pid_namespace_only_what_was_started_here_is_ended(
    tmp_path: Path, legacy: str, foreign: tuple[str, ...]
) -> None:
    mark = processes.handler_mark(tmp_path, "h")
    with (
        sleeping(mark, daemon=f"{NOBODY}-{int(HERE) - 1}", wrap=foreign) as theirs,
        sleeping(legacy, daemon=NOBODY, wrap=foreign) as theirs_of_old,
        sleeping(mark, daemon=f"{NOBODY}-{HERE}", wrap=foreign) as ours,
    ):
        assert theirs and theirs_of_old and ours
        processes.end_orphans(tmp_path, "h", seconds=60)
        assert all(map(is_there, theirs + theirs_of_old))
        until(lambda: not any(map(is_there, ours)), "they have ended")


def test_what_cannot_be_told_is_left_alone_and_named(tmp_path: Path, legacy: str) -> None:
    """In mounts of its own: where something covers a part of /proc, no wall can stand, and other tests put up some meanwhile."""
    need_root()
    program = f"""
import subprocess
from pathlib import Path
from nectar import processes
data_dir = Path({str(tmp_path)!r})
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/proc/%s/ns"], check=True)
processes.end_orphans(data_dir, "h", seconds=60)
print(processes.unproven(data_dir, "h"))
"""
    with sleeping(legacy, daemon=NOBODY) as (pid,):
        command = ["unshare", "--mount", sys.executable, "-c", program % pid]
        assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout == f"[{pid}]\n"
        assert is_there(pid)


def test_a_daemon_of_0_1_0_is_found_by_its_workers(tmp_path: Path, legacy: str) -> None:
    lock = f"import fcntl; file = open({str(tmp_path / 'lock')!r}, 'w'); input(); fcntl.flock(file, fcntl.LOCK_EX); input()"
    with subprocess.Popen([sys.executable, "-S", "-c", lock], stdin=subprocess.PIPE) as daemon:
        assert daemon.stdin is not None
        with closing(processes.Process(daemon.pid)) as process:
            started = process.started
        with sleeping(legacy, daemon=f"{daemon.pid}-{started}"):
            assert processes.daemons([legacy]) == {}  # it has not taken a name
            daemon.stdin.write(b"\n")
            daemon.stdin.flush()
            until(lambda: processes.daemons([legacy]) == {legacy: {daemon.pid}}, "it is found")
            assert processes.daemons(["another"]) == {}


def test_a_daemon_does_without_what_takes_long_to_import() -> None:
    """OpenSSL would be 4 MB of each, and a tenth of its start; and the first worker waits for nothing that it can do without."""
    program = """
import json, socket, subprocess  # which bring more along in newer versions
before = {*sys.modules}
import nectar.runtime.daemon.beginning
print(*{"pathlib", "nectar.runtime.daemon.loop", "nectar.runtime.daemon.workers.pool"} & {*sys.modules} - before)
import nectar.runtime.daemon.daemon, nectar.runtime.daemon.service, nectar.runtime.daemon.foreseen
print(*{"_hashlib", "ast", "dataclasses", "inspect", "ssl", "traceback", "typing"} & {*sys.modules} - before)
"""
    source = os.path.dirname(os.path.dirname(processes.__file__))
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({source!r}){program}"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n\n"


# --- children of ours that lead a group

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if grandchild := os.fork():
    print(grandchild, flush=True)
time.sleep(900)
"""


@contextmanager
def leading(code: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_child_that_ends_when_it_is_asked_is_not_killed() -> None:
    with leading("input()") as child:
        assert processes.end_group(child, child.terminate, seconds=60)
        assert child.returncode == -signal.SIGTERM


def test_a_child_that_does_not_is_killed_with_its_group() -> None:
    with leading(STUBBORN) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert not processes.end_group(child, child.terminate, seconds=0.3)
        assert child.returncode == -signal.SIGKILL
        until(lambda: not is_there(grandchild), "its group is gone")


def test_a_child_that_has_ended_is_not_asked() -> None:
    with leading("") as child:
        child.wait()
        assert processes.end_group(child, lambda: pytest.fail("it was"), seconds=60)


def test_a_child_whose_group_goes_while_it_is_asked() -> None:
    def ask() -> None:
        child.kill()
        raise ProcessLookupError

    with leading("input()") as child:
        assert processes.end_group(child, ask, seconds=60)
