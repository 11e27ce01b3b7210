"""``nectar test --debug``: the author's code has the terminal, and all the time that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import needs
from tests.terminal import Terminal
from tests.world import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

HANDLER = """
    # /// script
    # dependencies = []
    # [tool.nectar]
    # deadline = 0.1
    # ///
    import time
    from nectar import handler

    @handler
    def looked_at(comp):
        total = len(comp.query)
        while comp.query == "spin":
            print("it spins")
            time.sleep(1)
        breakpoint()
        return total
"""


@pytest.fixture(params=["open", pytest.param("walled", marks=needs.wall)])
def options(request: pytest.FixtureRequest) -> list[str]:
    return ["--debug", "--sandbox"] if request.param == "walled" else ["--debug"]


@pytest.fixture
def terminal(world: World, options: list[str]) -> Iterator[Terminal]:
    made = Terminal(world.command("test", world.file("looked_at.py", HANDLER), *options), str(world.directory))
    yield made
    made.close()


def test_breakpoint_has_the_terminal_and_all_the_time(terminal: Terminal) -> None:
    before = terminal.settings()
    assert "✅ Handler loaded successfully" in terminal.wait_for("(Pdb) ")
    terminal.type("p total, comp.proposer\n")
    assert "42" in terminal.wait_for("(Pdb) ")
    terminal.type("import time; time.sleep(0.3); print('later')\n")
    terminal.wait_for("later\r\n")
    terminal.wait_for("(Pdb) ")
    terminal.wait_for("--KeyboardInterrupt--", pressing="\x03")  # at the prompt, it ends nothing
    terminal.type("print('goes on')\n")
    terminal.wait_for("goes on\r\n")
    terminal.wait_for("(Pdb) ")
    terminal.type("import tty; tty.setcbreak(0)\n")
    terminal.wait_for("(Pdb) ")
    terminal.type("c\n")
    terminal.wait_for("✅ Result: 42")
    terminal.wait_for("✅ Handler test passed!")
    assert terminal.process.wait(PATIENCE) == 0
    assert terminal.settings() == before


def test_who_leaves_the_debugger_or_interrupts_the_code_ends_the_trial(
    world: World, terminal: Terminal, options: list[str]
) -> None:
    terminal.wait_for("(Pdb) ")
    terminal.type("q\n")
    terminal.wait_for("❌ The debugger was left")
    assert terminal.process.wait(PATIENCE) == 1
    spinning = Terminal(world.command("test", "looked_at.py", *options, "--query", "spin"), str(world.directory))
    try:
        spinning.wait_for("it spins")
        spinning.type("\x03")
        assert spinning.process.wait(PATIENCE) == 130
    finally:
        spinning.close()


def test_what_it_does_not_go_with(world: World) -> None:
    file = world.file("h.py")
    for options in (["--watch"], ["--json"], ["--computation", "-"]):
        ended = world.run("test", file, "--debug", *options, code=2)
        assert "--debug has the terminal" in ended.stderr + ended.stdout
