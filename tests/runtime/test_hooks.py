"""Hooks, in a worker: called in their order, by a pluggy that the handler's own code does not see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.conftest import launched

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World


def test_hooks_of_a_module(tmp_path: Path) -> None:
    with launched(tmp_path, "hooked.py") as running:
        node = running.attached()
        assert node.ask("abc")["result"] == {"value": 1003}
        assert "PRINT   - -: started; pluggy False" in running.log()
        running.world.run("stop", "hooked")
        assert "PRINT   - -: stopping now" in running.log()


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


STOPS_BADLY = """
    import nectar

    @nectar.handler
    def analyze(comp):
        return 1

    @nectar.hookimpl
    def nectar_worker_stopping():
        print("letting go")
        raise RuntimeError("no hold")
"""


def test_what_is_raised_at_the_end_fails_the_test_and_what_is_printed_there_is_shown(world: World) -> None:
    file = world.file("stops_badly.py", STOPS_BADLY)
    refused = world.run("test", file, code=1)
    assert "✅ Result: 1" in refused.stdout
    assert "passed" not in refused.stdout
    assert "letting go" in refused.stderr
    assert "❌ The handler's nectar_worker_stopping failed." in refused.stderr
    assert f'File "{file}", line 11, in nectar_worker_stopping' in refused.stderr
    assert "_callers.py" not in refused.stderr
    told = json.loads(world.run("test", file, "--json", code=1).stdout)
    assert (told["result"], told["passed"]) == ({"value": 1}, False)
    assert told["error"]["message"] == "The handler's nectar_worker_stopping failed."


def test_what_is_raised_at_the_end_of_a_worker_is_in_the_log(tmp_path: Path) -> None:
    with launched(tmp_path, "hooked.py") as running:
        running.world.run("launch", running.world.file("stops_badly.py", STOPS_BADLY))
        running.world.run("stop", "stops_badly")
        log = running.world.home.log("stops_badly").read_text()
    assert "PRINT   - -: nectar_worker_stopping: RuntimeError: no hold" in log
    assert "WARNING - -: nectar_worker_stopping failed" in log


def test_a_traceback_of_a_hook_begins_at_the_authors_line(world: World) -> None:
    text = """
        import nectar

        @nectar.hookimpl
        def nectar_compute(computation):
            return 1 // 0
    """
    for name, content in (("divides.py", text), ("divides_in_a_loop.py", text.replace("def", "async def"))):
        refused = world.run("test", world.file(name, content), code=1)
        lines = refused.stderr[refused.stderr.index("Traceback") :].splitlines()
        assert name in lines[1]
        assert "line 6, in nectar_compute" in lines[1]


def test_a_hook_without_its_mark_is_a_warning(world: World) -> None:
    text = """
        import nectar

        @nectar.handler
        def analyze(comp):
            return 1

        def nectar_worker_startd():
            raise RuntimeError
    """
    told = world.run("test", world.file("unmarked.py", text))
    assert (
        "unmarked.nectar_worker_startd is not called: it has no @nectar.hookimpl on it. Did you mean nectar_worker_started?"
        in " ".join(told.stderr.split())
    )


def test_an_object_loads_once_and_answers_without_a_second_file(world: World) -> None:
    text = """
        from nectar import hookimpl

        class Counter:
            @hookimpl
            async def nectar_worker_started(self):
                self.words = {"good": 1, "bad": -1}

            @hookimpl
            def nectar_compute(self, computation):
                return sum(self.words.get(word, 0) for word in computation.query.split())
    """
    file = world.file("counter.py", text)
    assert "✅ Result: 2" in world.run("test", file, "--handler", "Counter", "--query", "good and very good").stdout
