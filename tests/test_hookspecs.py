"""The hooks as pluggy reads them, with a marker that needs no pluggy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from nectar import Computation, hookimpl
from nectar.api import hookspecs

QUESTION = Computation(comp_id="x", query="abc")


@pytest.fixture
def manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def test_pluggy_reads_the_specifications(manager: pluggy.PluginManager) -> None:
    assert {name for name in vars(manager.hook) if name.startswith("nectar_")} == {
        "nectar_answered",
        "nectar_commands",
        "nectar_compute",
        "nectar_executor",
        "nectar_worker_started",
        "nectar_worker_stopping",
    }


def test_the_first_answer_wins(manager: pluggy.PluginManager) -> None:
    @hookimpl
    def none(computation: Computation) -> None:
        return None

    @hookimpl(tryfirst=True)
    def length(computation: Computation) -> int:
        return len(computation.query)

    @hookimpl(trylast=True)
    def last(computation: Computation) -> int:
        raise AssertionError("not asked")

    for function in (none, last, length):
        manager.register(SimpleNamespace(nectar_compute=function))
    assert manager.hook.nectar_compute(computation=QUESTION) == 3


def test_a_wrapper_sees_the_question_and_replaces_the_answer(manager: pluggy.PluginManager) -> None:
    @hookimpl(wrapper=True)
    def around(computation: Computation) -> Generator[None, int, int]:
        answer = yield
        return answer + len(computation.query)

    @hookimpl
    def seven() -> int:
        return 7

    for function in (around, seven):
        manager.register(SimpleNamespace(nectar_compute=function))
    assert manager.hook.nectar_compute(computation=QUESTION) == 10


def test_specname_and_optionalhook(manager: pluggy.PluginManager) -> None:
    class Plugin:
        @hookimpl(specname="nectar_compute")
        def answer(self) -> int:
            return 1

        @hookimpl(optionalhook=True)
        def nectar_of_next_year(self, more: Any) -> None: ...

    manager.register(Plugin())
    manager.check_pending()
    assert manager.hook.nectar_compute(computation=QUESTION) == 1


def test_the_marker_is_the_same_as_pluggys() -> None:
    def function() -> None: ...

    ours = dict(vars(hookimpl(trylast=True)(function)))
    function.__dict__.clear()
    theirs = dict(vars(pluggy.HookimplMarker("nectar")(trylast=True)(function)))
    assert ours == theirs


def test_import_nectar_imports_no_third_party() -> None:
    program = "import nectar, sys; nectar.handler; nectar.hookimpl; nectar.Computation; print(sorted({name.split('.')[0] for name in sys.modules}))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout
    assert not {"pluggy", "click", "watchdog", "uv", "tomli_w", "pytest"} & set(eval(said))


def test_a_name_that_nectar_does_not_have() -> None:
    import nectar

    with pytest.raises(AttributeError, match="nothing_such"):
        _ = nectar.nothing_such
    assert {"Computation", "ComputationResult", "handler", "hookimpl"} <= set(dir(nectar))
