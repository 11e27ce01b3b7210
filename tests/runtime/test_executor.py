"""Parts of a question: in threads of the worker, or where the handler's hook says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
import pytest

from tests.runtime.conftest import launched
from tests.world import until

if TYPE_CHECKING:
    from tests.world import World

PLUGGY = str(Path(pluggy.__file__).parent)
ANSWERING = """
    import nectar

    @nectar.handler
    def answer(comp):
        return len([*nectar.executor().map(abs, range(3))])
    """


def test_a_hook_gives_the_executor_and_it_is_shut_down_with_the_worker(tmp_path: Path) -> None:
    with launched(tmp_path, "parted.py") as running:
        node = running.attached()
        for number in range(4):
            node.put(f"q{number}", "abc")
        assert [node.answer(f"q{number}")["result"] for number in range(4)] == [{"value": 1}] * 4
        assert len(running.processes()) == running.usual + 2
        running.world.run("stop", "parted")
        log = running.log()
    assert [line for line in ("started 1", "stopping 2", "shut down True True") if f"PRINT   - -: {line}" not in log] == []
    assert log.index("stopping 2") < log.index("shut down")


def test_threads_know_whose_part_they_run(tmp_path: Path) -> None:
    with launched(tmp_path, "threaded.py") as running:
        node = running.attached()
        for name in ("one", "two"):
            node.put(name, "abc")
        assert [node.answer(name)["result"]["value"] for name in ("one", "two")] == [2, 2]
        for name in ("one", "two"):
            for number in range(2):
                running.until_logged(f"PRINT   {node.alias} {name}: part {number} of {name}")
        for _ in range(2):  # and not the second time only
            assert "use it without `with`" in node.ask("with")["error"]


LOADS = f"""
import sys
from nectar.runtime.worker.loader import load
from nectar.testing.sample import sample
sys.path.insert(0, sys.argv[1])
handler = load("alone", [], {PLUGGY!r})
handler.started()
before = {{*sys.modules}}
assert handler.answer(sample("abc")) == 3
handler.stopping()
print({{*sys.modules}} - before, [name for name in sys.modules if name.startswith(("concurrent", "nectar.api.parts", "threading"))])
"""


@pytest.mark.parametrize("hooks", ["", "@nectar.hookimpl\ndef nectar_worker_started(): ..."])
def test_who_has_no_parts_pays_for_none(tmp_path: Path, hooks: str) -> None:
    file = tmp_path / "alone.py"
    file.write_text(f"import nectar\n\n@nectar.handler\ndef answer(comp):\n    return len(comp.query)\n\n{hooks}\n")
    command = [sys.executable, "-S", "-c", LOADS.replace("import sys", "import sys; sys.path[:0] = sys.argv[2:]", 1), str(tmp_path)]
    path = [str(Path(module.__file__ or "").parents[1]) for module in (sys.modules["nectar"], pluggy)]
    ended = subprocess.run([*command, *path], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "set() []\n", ended.stderr


WRONG = {
    "text": (
        "return 'tcp://1.2.3.4:8786'",
        "nectar_executor returned an object of the type str, and no concurrent.futures.Executor.",
        "wrong.py, line 8",
    ),
    "class": (
        "from concurrent.futures import ThreadPoolExecutor as Pool; return Pool",
        "nectar_executor returned the class ThreadPoolExecutor, and no concurrent.futures.Executor.",
        "wrong.py, line 8",
    ),
    "raises": (
        "raise ConnectionError('nobody is there')",
        "The handler could not be loaded: ConnectionError: nobody is there",
        'wrong.py", line 10, in nectar_executor',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_hook_that_gives_no_executor_is_told_with_its_line(world: World, case: str) -> None:
    body, said, place = WRONG[case]
    file = world.file("wrong.py", f"{ANSWERING}\n    @nectar.hookimpl\n    def nectar_executor():\n        {body}\n")
    refused = world.run("test", file, code=1).stderr
    told = " ".join(refused.split())
    assert said in told
    assert place in told
    assert "engine.py" not in told


def test_two_hooks_are_refused_by_name(world: World) -> None:
    project = world.project("twice")
    package = project / "src" / "twice"
    hook = "import nectar\n\n\n@nectar.hookimpl\ndef nectar_executor():\n    return None\n"
    (package / "first.py").write_text(hook)
    (package / "second.py").write_text(hook)
    with (project / "pyproject.toml").open("a") as stream:
        stream.write('\n[project.entry-points."nectar.plugins"]\nfirst = "twice.first"\nsecond = "twice.second"\n')
    told = " ".join(world.run("test", project, code=1).stderr.split())
    assert "nectar_executor is implemented 2 times: in first and in second." in told
    assert re.search(r"first\.py, line \d+, and \S*second\.py, line \d+", told), told
    assert "leave the hook in one of them" in told


def test_a_shutdown_that_hangs_holds_no_end_up(world: World) -> None:
    hook = """
    import time
    from concurrent.futures import ThreadPoolExecutor

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            print("it hangs")
            time.sleep(600)

    @nectar.hookimpl
    def nectar_executor():
        return Pool()
    """
    world.run("launch", world.file("hangs.py", ANSWERING + hook))
    begun = time.monotonic()
    world.run("stop", "hangs")
    assert time.monotonic() - begun < 60
    until(lambda: "PRINT   - -: it hangs" in world.home.log("hangs").read_text(), "the shutdown was begun")


def test_a_shutdown_that_raises_fails_the_test_and_the_older_kind_is_called_its_own_way(world: World) -> None:
    hook = """
    from concurrent.futures import ThreadPoolExecutor

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True):
            raise ValueError("no end")

    @nectar.hookimpl
    def nectar_executor():
        return Pool()
    """
    refused = world.run("test", world.file("endless.py", ANSWERING + hook), code=1)
    assert "✅ Result: 3" in refused.stdout
    assert "ValueError: no end" in refused.stderr
    assert "This is the shutdown of what nectar_executor gave." in refused.stderr


def test_whole_questions_go_to_the_executor_of_a_hook(tmp_path: Path) -> None:
    with launched(tmp_path, "handed.py") as running:
        node = running.attached()
        (worker,) = running.status()["workers"]
        pid = node.ask("pid")["result"]["value"]
        assert pid not in (worker["pid"], os.getpid())
        assert node.ask("threads")["result"] == {"value": 1}
        assert node.ask("raise")["error"] == "ValueError: no"
        assert node.ask("exit")["error"] == "The worker lost its executor, of which a process died, before it had an answer."
        late = node.ask("sleep", deadline=0.5)
        assert (late["status"], late["execution_time"]) == ("timeout", pytest.approx(0.5, abs=5))
        assert node.ask("abc")["result"] == {"value": 3}
        running.until_logged("PRINT   - -: answered 3")
    assert f"PRINT   - -: started in {pid}" in running.log()
    assert f"started in {worker['pid']}" not in running.log()


def test_whole_without_an_executor_is_told(world: World) -> None:
    settings = '# /// script\n# [tool.nectar]\n# executor = "whole"\n# ///'
    file = world.file("alone.py", settings + textwrap.dedent(ANSWERING))
    tried = world.run("test", file, env={"NECTAR_DASK_ADDRESS": "tcp://10.255.255.1:8786"})
    assert "nothing gives one" in tried.stdout + tried.stderr
    assert "the handler's environment has no distributed: it runs here" in tried.stdout + tried.stderr
