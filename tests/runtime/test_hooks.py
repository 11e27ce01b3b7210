"""Hooks, in a worker: called in their order, by a pluggy that the handler's own code does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.conftest import launched

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compiled import Compiled
    from tests.world import World


def test_hooks_of_a_module(tmp_path: Path, compiled: Compiled) -> None:
    with launched(tmp_path, compiled, "hooked.py") as running:
        node = running.attached()
        assert node.ask("abc")["result"] == {"value": 1003}
        assert "PRINT   started; pluggy False" in running.log()
        running.world.run("stop", "hooked")
        assert "PRINT   stopping now" in running.log()


def test_a_worker_whose_start_raises_is_not_used(world: World) -> None:
    text = """
        import nectar

        @nectar.handler
        def analyze(comp):
            return 1

        @nectar.hookimpl
        def nectar_worker_started():
            raise RuntimeError("no model")
    """
    refused = world.run("launch", world.file("failing.py", text), code=1)
    assert "RuntimeError: no model" in refused.stderr
    assert not world.home.registry.exists()
