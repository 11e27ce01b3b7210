"""Strangers at the door: modes, the control socket, other users, and where answers can be read."""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from nectar.protocol import MAX_LINE
from tests.hostile.stage import resident
from tests.soak.ground import LATE, kill, need_root
from tests.soak.table import portion
from tests.world import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.stage import Stage
    from tests.soak.table import Row

NOBODY = 65534


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_modes_whatever_the_umask(stage: Stage, row: Row, mask: int) -> None:
    before = os.umask(mask)
    try:
        asker = stage.play("--env", "TOKEN=hush")
        assert asker.ask("number 1").value == 1
    finally:
        os.umask(before)
    nectar = stage.home.nectar
    private = [nectar, stage.home.handlers, stage.home.logs, stage.home.builds, asker.directory / ".nectar"]
    looked = [*private, stage.home.registry, *stage.home.handlers.iterdir(), *stage.home.logs.iterdir()]
    wide = [str(path) for path in looked if stat.S_IMODE(path.stat().st_mode) & 0o077]
    row(f"with umask {mask:03o}, nobody else has a way in", looked_at=len(looked), open_to_others=len(wide))
    assert wide == []
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in private)
    assert stat.S_IMODE(stage.home.socket(stage.name).stat().st_mode) == 0o600
    assert not stat.S_IMODE(stage.home.data_dir.stat().st_mode) & 0o022


def test_clients_of_the_socket(stage: Stage, row: Row) -> None:
    """Silent ones, more than there is room for, an endless line, those that do not listen, and nonsense."""
    asker = stage.play()
    daemon, path = stage.daemon, str(stage.home.socket(stage.name))
    before = resident(daemon)
    slowest = 0.0

    def honest() -> None:
        nonlocal slowest
        begun = time.monotonic()
        assert asker.ask("number 1").value == 1
        stage.world.run("view", stage.name)
        assert stage.status()["ok"]
        slowest = max(slowest, time.monotonic() - begun)

    honest()
    with ExitStack() as stack:

        def client() -> socket.socket:
            made = stack.enter_context(socket.socket(socket.AF_UNIX))
            made.settimeout(LATE)
            until(lambda: connected(made), "there is room in the queue")
            return made

        def connected(made: socket.socket) -> bool:
            try:
                made.connect(path)
            except BlockingIOError:
                return False
            return True

        silent = [client() for _ in range(portion(500, least=100))]
        honest()
        for deaf in silent[:20]:
            try:
                deaf.sendall(b'{"schema": 1, "do": "status"}\n')
            except OSError:
                continue
        honest()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            client().sendall(b"x" * (MAX_LINE + 9_000_000))
        honest()
    lines = [b"\n", b"{}\n", b"[]\n", b"null\n", b"\xff\n", b"[" * 100_000 + b"\n", b"9" * 5000 + b"\n", b'{"schema": 1}\n']
    words: list[object] = [None, [], {}, 1, "STATUS", "stop\0"]
    lines += [json.dumps({"schema": 1, "do": do}).encode() + b"\n" for do in words]
    bad: list[object] = [None, "1", -1, True, float("nan"), float("inf"), 1e999, [], {}]
    lines += [json.dumps({"schema": 1, "do": "stop", "timeout": timeout}).encode() + b"\n" for timeout in bad]
    obeyed = []
    for line in lines:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(LATE)
            one.connect(path)
            one.sendall(line)
            reply = b""
            while not reply.endswith(b"\n") and (piece := one.recv(65536)):
                reply += piece
        if reply and json.loads(reply)["ok"] is not False:
            obeyed.append(line[:80])
    honest()
    row(
        "clients of the control socket that say nothing, too much or nonsense hold nobody up",
        silent=len(silent),
        nonsense=len(lines),
        obeyed=len(obeyed),
        slowest_question_and_view_s=slowest,
        MB_grown=(resident(daemon) - before) / 1024,
    )
    assert obeyed == []
    assert stage.daemon == daemon
    assert resident(daemon) - before < 50 * 1024
    assert slowest < LATE


def test_another_user_at_the_socket(stage: Stage, row: Row) -> None:
    """Even where every mode lets him through, he is sent away."""
    need_root()
    asker = stage.play()
    path = stage.home.socket(stage.name)
    opened = [path, path.parent]
    modes = {one: stat.S_IMODE(one.stat().st_mode) for one in opened}
    answered = 0
    try:
        for one in opened:
            one.chmod(modes[one] | 0o007)
        for _ in range(3):
            answered += _as_nobody(path)
    finally:
        for one, mode in modes.items():
            one.chmod(mode)
    row("another user at the socket is sent away", tried=3, answered=answered)
    assert answered == 0
    assert asker.ask("number 1").value == 1
    assert stage.status()["ok"]


def _as_nobody(path: Path) -> bool:
    """Whether another user gets an answer to `status`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"error"
        try:
            os.chdir(path.parent)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(LATE)
            client.connect(path.name)
            said = b"away"
            client.sendall(b'{"schema": 1, "do": "status"}\n')
            if client.recv(100):
                said = b"answered"
        except OSError:
            pass
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    said = os.read(reading, 100)
    os.close(reading)
    os.waitpid(child, 0)
    assert said != b"error", "he did not even get to the socket"
    return said == b"answered"


def test_answers_can_be_read_by_who_asked(stage: Stage, row: Row) -> None:
    need_root()
    asker = stage.play()
    wrong = []
    cases = [(0o600, 0), (0o640, NOBODY), (0o660, NOBODY), (0o644, 0), (0o666, NOBODY), (0o400, 0), (0o777, NOBODY)]
    for number, (mode, group) in enumerate(cases):
        aside = asker.directory / "aside"
        # Made aside, so that it is whole, and has its mode, when it gets its name.
        aside.write_bytes(b'{"query": "number 1", "proposer": "", "aggregators": [], "targets": [], "deadline": 60}')
        os.chown(aside, -1, group)
        aside.chmod(mode)
        aside.rename(asker.directory / f"m{number}.pending")
        path = asker.directory / f"m{number}.complete"
        until(path.exists, "its answer")
        status = path.stat()
        if (stat.S_IMODE(status.st_mode), status.st_gid) != ((mode | 0o600) & 0o666, group):
            wrong.append((oct(mode), group, oct(status.st_mode), status.st_gid))
        path.unlink()
    row("an answer has the mode and the group of its question", tried=len(cases), wrong=len(wrong))
    assert not wrong, wrong


def test_a_directory_of_another_user_is_not_used(stage: Stage, row: Row) -> None:
    need_root()
    stage.home.nectar.mkdir(parents=True, exist_ok=True)
    os.chown(stage.home.nectar, NOBODY, NOBODY)
    stage.write()
    try:
        ended = stage.world.run("launch", stage.file, code=None)
    finally:
        os.chown(stage.home.nectar, os.geteuid(), -1)
    row("a nectar/ that another user has made is refused", launches=1, exit_code=ended.returncode)
    assert ended.returncode == 4
    assert "belongs to another user" in ended.stderr


def test_a_node_that_writes_into_its_question(stage: Stage, row: Row) -> None:
    """Another user's, who has it open, learns the token from the kernel, and then the daemon dies."""
    need_root()
    asker = stage.play()
    published = 0
    rounds = portion(30, least=2)
    for number in range(rounds):
        comp_id, aside = f"f{number}", asker.directory / "aside"
        aside.write_bytes(b'{"query": "sleep 600", "proposer": "", "aggregators": [], "targets": [], "deadline": 600}')
        os.chown(aside, NOBODY, NOBODY)
        descriptor = os.open(aside, os.O_RDWR)
        aside.rename(asker.directory / f"{comp_id}.pending")
        place = f"/proc/self/fd/{descriptor}"
        until(lambda place=place: "/.nectar/" in os.readlink(place), "it is claimed")  # type: ignore[misc]
        forged = {"comp_id": comp_id, "status": "success", "result": {"value": 666}, "error": None, "execution_time": None}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({**forged, "claim": os.readlink(place).rpartition(".")[2]}).encode(), 0)
        os.close(descriptor)
        kill(stage.daemon)
        stage.world.run("start", stage.name)
        answer = asker.take(comp_id)
        published += answer.value == 666
        assert answer.status == "error"
    row("what a node of another user writes into its question is published by no daemon", tried=rounds, published=published)
    assert published == 0
    assert asker.ask("number 1").value == 1
