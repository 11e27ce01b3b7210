"""A terminal shows what is waited for when it takes long, and what it cannot show in ASCII."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.terminal import Terminal
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.world import World

GATED = """
    import os, time
    from nectar import handler

    while not os.path.exists("open"):
        time.sleep(0.02)

    @handler
    def h(comp):
        return 1
"""


@pytest.fixture
def on_terminal(world: World) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def begin(*arguments: str | Path, **env: str) -> Terminal:
        made.append(Terminal(world.command(*arguments), str(world.directory), env={"TERM": "xterm", **env}))
        return made[-1]

    yield begin
    for terminal in made:
        terminal.close()


@pytest.mark.uv
@pytest.mark.once
def test_what_is_waited_for_is_told_on_a_terminal_with_its_limit(world: World, on_terminal: Callable[..., Terminal]) -> None:
    world.node()
    gate = world.directory / "open"
    loading = on_terminal("launch", world.file("h.py", GATED))
    loading.wait_for("⏳ Loading 'h': ")
    loading.wait_for(" of 70 s at most")
    gate.touch()
    assert loading.wait_for(" Handler launched: h").endswith("\r\x1b[K✅")
    daemon = world.registry()["h"]["pid"]
    os.kill(daemon, signal.SIGSTOP)
    try:
        attaching = on_terminal("attach", "h", "alice")
        attaching.wait_for("⏳ Telling the daemon of 'h': ")
        attaching.wait_for(" of 25 s at most")
        attaching.type("\x03")
        until(lambda: attaching.process.poll() is not None, "an interrupt ends it, and waits for no daemon", seconds=20)
        assert attaching.process.returncode == 130
        once = on_terminal("view", "h", TERM="dumb")
        once.wait_for("⏳ Asking the daemon of 'h': ")
        once.wait_for(" s of 5 s at most\r\n")
        assert "⏳" not in once.wait_for("Status:")
        stopping = on_terminal("stop", "h", "--timeout", "2")
        stopping.wait_for("⏳ Stopping 'h': ")
        stopping.wait_for(" of 4 s at most")
        stopping.wait_for("stopped: h")
    finally:
        with suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGCONT)


@pytest.mark.uv
@pytest.mark.once
def test_nobody_is_told_who_does_not_want_it_or_is_no_terminal(world: World, on_terminal: Callable[..., Terminal]) -> None:
    world.node()
    quiet = on_terminal("launch", world.file("h.py", GATED), "-q")
    piped = world.begin("test", "h.py")
    until(lambda: world.home.start("h").exists(), "it is being launched")
    beside = on_terminal("submit", "alice", "q", "--deadline", "600")
    beside.wait_for("⏳ Waiting for the answer to ")  # so long they have waited, too
    (world.directory / "open").touch()
    assert "⏳" not in quiet.wait_for("launched: h")
    assert "⏳" not in piped.communicate(timeout=60)[1]


@pytest.mark.once
def test_an_ascii_terminal_gets_an_ascii_box(world: World, on_terminal: Callable[..., Terminal]) -> None:
    shown = on_terminal("view", LANG="C", LC_ALL="").wait_for("running\r\n")
    assert shown.isascii()
    assert "Nectar Handlers" in shown
    assert "\\N" not in shown
    assert "\\u" not in shown
    assert "+=====" in shown
    assert on_terminal("stop", "nobody", LC_ALL="POSIX").wait_for("There is no handler").endswith("[error] ")
    assert "╔═══" in on_terminal("view", LANG="C.UTF-8", LC_ALL="").wait_for("running\r\n")
    assert "╔═══" in world.run("view", env={"LANG": "C", "LC_ALL": ""}).stdout
    assert "+====" in world.run("view", env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}).stdout


@pytest.mark.once
def test_the_box_is_as_narrow_as_the_terminal(world: World) -> None:
    command = "stty cols 40; exec " + " ".join(world.command("view"))
    terminal = Terminal(["/bin/sh", "-c", command], str(world.directory))
    try:
        shown = terminal.wait_for("running\r\n")
    finally:
        terminal.close()
    assert max(map(len, shown.splitlines())) <= 40
    assert "Nectar Handlers" in shown
