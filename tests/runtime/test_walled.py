"""What a worker behind a wall has a limit of, its children and its files included."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar import features
from tests import needs
from tests.runtime.conftest import launched
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtime.conftest import Running

pytestmark = [pytest.mark.uv, pytest.mark.once, needs.wall]


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with launched(tmp_path_factory.mktemp("world"), "behind.py", "--sandbox") as running:
        yield running


def test_the_memory_of_what_a_worker_has_forked_counts(behind: Running) -> None:
    answer = behind.attached().ask("child 150")
    assert answer["error"] == "The worker was ended: it took too much memory (memory_limit is 120MiB)."


def test_what_its_processes_share_counts_once(behind: Running) -> None:
    assert behind.attached().ask("shares 50")["result"] == {"value": 1}


def test_a_directory_in_memory_has_its_bound_and_counts_as_memory(behind: Running) -> None:
    node = behind.attached()
    assert node.ask("files 70")["result"] == {"value": 1}
    assert "it took too much memory" in node.ask("files 60")["error"]


def test_there_are_so_many_processes_and_no_more(behind: Running) -> None:
    node = behind.attached()
    answer = node.ask("fork 40")
    if os.getuid() == 0:  # whom the kernel has no such limit for: the daemon counts
        assert answer["error"] == "The worker was ended: it had too many processes (sandbox_processes is 24)."
    else:
        assert answer["result"]["value"] < 24
    assert node.ask("number 3")["result"] == {"value": 3}


@pytest.mark.skipif(not features.can_bound_namespaces(), reason="not root, or the kernel has one bound for all")
def test_roots_worker_is_bounded_by_the_kernel_too_and_nobody_else(behind: Running) -> None:
    """Or it would have thousands of processes before the daemon counts, which waits for a processor as they do."""
    before = features.kernel_limit("kernel/pid_max")
    assert behind.attached().ask("pids")["result"]["value"] == 300 + 2 * 24
    assert features.kernel_limit("kernel/pid_max") == before


def test_what_is_shown_as_its_pid_is_its_own_and_not_bubblewraps(behind: Running) -> None:
    node = behind.attached()
    inside = node.ask("pid")["result"]["value"]
    (line,) = (line for line in Path(f"/proc/{behind.worker()}/status").read_text().splitlines() if line.startswith("NSpid"))
    assert [*map(int, line.split()[1:])] == [behind.worker(), inside]
    os.kill(behind.worker(), signal.SIGKILL)
    behind.until_logged("An idle worker was ended by SIGKILL")
    assert node.ask("pid")["result"]["value"] == inside


def test_no_picture_of_its_memory_is_left_by_a_crash(behind: Running) -> None:
    # With one byte the kernel writes none, and gives none to a program that takes them either.
    assert behind.attached().ask("dump")["result"] == {"value": 1}


def test_nothing_of_it_is_left_after_a_stop(behind: Running) -> None:
    node = behind.attached()
    node.put("q", "child 1")
    until(lambda: len(behind.processes()) >= 4, "it has forked")
    behind.world.run("stop", behind.name, "--timeout", "0")
    assert behind.processes() == []
    behind.world.run("start", behind.name)
