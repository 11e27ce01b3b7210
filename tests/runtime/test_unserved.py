"""An alias that cannot be served: why is in the log, in ``view``, in ``doctor``, and in what ``attach`` says."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.soak.ground import mount, mounted
from tests.world import until

if TYPE_CHECKING:
    from tests.runtime.conftest import Node, Running

pytestmark = pytest.mark.once


def assert_told(running: Running, node: Node, reason: str) -> None:
    until(lambda: reason in (running.status()["aliases"][node.alias]["problem"] or ""), f"the status says {reason!r}")
    assert reason in running.world.run("view", running.name).stdout
    assert f"it cannot answer for {node.alias}" in running.world.run("view").stdout
    assert f"{running.name}: it cannot answer for {node.alias}" in running.world.run("doctor", code=None).stdout
    running.until_logged(reason)


def assert_well(running: Running, node: Node) -> None:
    until(lambda: running.status()["aliases"][node.alias]["problem"] is None, "there is no problem any more")
    assert running.world.run("view", running.name).stdout.count(f"Alias {node.alias}") == 0


def test_claims_on_another_file_system(chameleon: Running) -> None:
    node = chameleon.node()
    with mounted(node.directory / ".nectar", "-o", "mode=0700"):
        refused = chameleon.world.run("attach", chameleon.name, node.alias, code=4)
        assert "is on another file system" in refused.stderr
    node = chameleon.attached()
    with mounted(node.directory / ".nectar", "-o", "mode=0700"):
        node.put("waits", "number 4")
        assert_told(chameleon, node, "is on another file system")
    assert node.answer("waits")["result"] == {"value": 4}
    assert_well(chameleon, node)


def test_claims_that_fail_each_time(chameleon: Running) -> None:
    """The directory is read-only by now, and is the same as before to whoever compares it."""
    node = chameleon.node()
    with mounted(node.directory, "-o", "mode=0755") as directory:
        chameleon.attach(node)
        node.put("first", "number 3")
        assert node.answer("first")["result"] == {"value": 3}
        os.kill(chameleon.daemon, signal.SIGSTOP)  # so that it has not claimed the next one before all is read-only
        try:
            node.put("waits", "number 4")
            mount(directory, "-o", "remount,ro")
        finally:
            os.kill(chameleon.daemon, signal.SIGCONT)
        assert_told(chameleon, node, "Read-only file system")
        mount(directory, "-o", "remount,rw")
        assert node.answer("waits")["result"] == {"value": 4}
        assert_well(chameleon, node)
        chameleon.detach(node)


def test_a_full_disk_where_questions_are_copied(chameleon: Running) -> None:
    """Others can write in them. What cannot be copied yet is one question; the others are left where they are."""
    node, numbers = chameleon.node(), range(20)
    with mounted(node.directory, "-o", "mode=2770,size=512k") as directory:
        chameleon.attach(node)
        os.kill(chameleon.daemon, signal.SIGSTOP)  # so that it has claimed none before the disk is full
        try:
            for number in numbers:
                node.put(f"q{number}", f"number {number}")
                (directory / f"q{number}.pending").chmod(0o660)
            filler = directory / "filler"
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while file.write(bytes(4096)):
                    pass
        finally:
            os.kill(chameleon.daemon, signal.SIGCONT)
        assert_told(chameleon, node, "No space left on device")
        assert len([*directory.glob("*.pending")]) == len(numbers) - 1
        filler.unlink()
        assert [node.answer(f"q{number}")["result"] for number in numbers] == [{"value": number} for number in numbers]
        assert_well(chameleon, node)
        chameleon.detach(node)


def test_two_aliases_that_are_one_directory(chameleon: Running) -> None:
    node, other = chameleon.attached(), chameleon.node()
    other.directory.rmdir()
    other.directory.symlink_to(node.directory)
    refused = chameleon.world.run("attach", chameleon.name, other.alias, code=4)
    assert f"{node.alias} and {other.alias} are the same directory" in refused.stderr
    assert node.ask("number 4")["result"] == {"value": 4}
