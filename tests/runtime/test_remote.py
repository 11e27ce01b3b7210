"""What an engine's process does with a task: it has it run in a process beside itself, and says what came of that."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.worker import remote, whole
from nectar.testing.sample import sample
from tests.world import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SINGLE = """
import nectar
print("loaded")

@nectar.handler
def answer(comp):
    return {"executor": len(type(nectar.executor()).__name__), "origin": len(__file__)}[comp.query]
"""


@pytest.fixture
def slot() -> Iterator[remote.Slot]:
    made = remote.Slot()
    yield made
    made.end()


def run(slot: remote.Slot, function: Callable[..., Any], *arguments: Any, limit: float | None = 60) -> Any:
    good, value, traceback = pickle.loads(slot.run(pickle.dumps((function, arguments, {})), limit))
    if good:
        return value
    value.add_note(str(traceback))
    raise value


def test_tasks_have_one_process_after_another(slot: remote.Slot) -> None:
    first = run(slot, os.getpid)
    assert first not in (os.getpid(), None)
    assert run(slot, os.getpid) == first
    assert run(slot, os.getppid) == os.getpid()
    with pytest.raises(RuntimeError, match="its process ended with exit code 3 before it had a result"):
        run(slot, os._exit, 3)
    with pytest.raises(RuntimeError, match="its process was ended by SIGKILL"):
        run(slot, eval, "__import__('os').kill(__import__('os').getpid(), 9)")
    with pytest.raises(TimeoutError, match=r"it took longer than 0\.30 s, and was ended"):
        run(slot, time.sleep, 600, limit=0.3)
    with pytest.raises(SystemExit):
        run(slot, sys.exit, 3)
    second = run(slot, os.getpid)
    assert second != first
    os.kill(second, 9)  # while it has nothing to do
    until(lambda: slot._process is not None and slot._process.poll() is not None, "it has ended")
    assert run(slot, abs, -1) == 1


def test_what_a_task_starts_goes_with_its_end(slot: remote.Slot) -> None:
    started = "__import__('subprocess').Popen(['sleep', '600'], start_new_session=True).pid"
    left = run(slot, eval, started)
    with pytest.raises(TimeoutError):
        run(slot, time.sleep, 600, limit=0.1)
    until(lambda: has_ended(left), "it has ended, too")


def has_ended(pid: int) -> bool:
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def make_order(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "copy.py").write_text(SINGLE)
    module = {"file": "copy.py", "origin": str(tmp_path / "single.py"), "package": False}
    manifest = tmp_path / "snapshot.json"
    manifest.write_text(json.dumps({"entry": "single", "modules": {"single": module}}))
    order: dict[str, Any] = {
        "entry": "single",
        "handler": "single",
        "plugins": [],
        "directory": str(tmp_path),
        "identity": None,
        "snapshot": str(manifest),
    }
    return whole._carry(order)


def test_a_part_of_a_single_file_finds_its_module(slot: remote.Slot, tmp_path: Path) -> None:
    part = pickle.dumps((eval, ("len(__import__('single').__file__)",), {}))
    assert run(slot, whole.run_part, make_order(tmp_path), part) == len(str(tmp_path / "single.py"))
    with pytest.raises(ModuleNotFoundError):
        run(slot, eval, "__import__('double')")


def test_another_environment_is_told(slot: remote.Slot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nectar.json").write_text('{"portable": "mine"}')
    prefix = f"__import__('sys').__setattr__('prefix', {str(tmp_path)!r})"
    run(slot, eval, prefix)
    failed = run(slot, whole.load, {**make_order(tmp_path), "identity": "yours"})
    assert failed["message"] == (
        "The engine's worker has another environment: its key is mine, and that of the handler's daemon yours."
    )
    answer = run(slot, whole.answer, {**make_order(tmp_path), "identity": "yours"}, {}, b"")
    assert answer == {"do": "failed", **failed}


def test_a_question_is_answered_there_and_the_handler_is_loaded_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    slot = remote.Slot()
    try:
        header = {"job": 1, "comp_id": "a", "timestamp": 0.0, "deadline": 60}
        order = make_order(tmp_path)
        for query, value in (("executor", len("Threads")), ("origin", len(str(tmp_path / "single.py")))):
            answer = run(slot, whole.answer, order, header, sample(query, comp_id="a").to_json())
            assert (answer["status"], answer["value"]) == ("success", value), answer
        answer = run(slot, whole.answer, order, header, sample("else", comp_id="a").to_json())
        assert (answer["status"], answer["error"]) == ("error", "KeyError: 'else'")
        assert "single.py" in answer["traceback"]
    finally:
        slot.end()
    assert capfd.readouterr().out == "loaded\n"
