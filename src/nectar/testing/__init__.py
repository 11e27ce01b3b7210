"""What a handler's author imports in tests.

::

    from nectar.testing import ask, computation

    def test_twice_the_length():
        assert ask(analyze, computation(query="abc")) == 6

:func:`computation` makes a question with plausible values, :func:`ask` answers it by nectar's own rules, :func:`worker` loads the
project's handler with its hooks, and :func:`node` launches it. With pytest, all of these
but :func:`ask` are fixtures too (:mod:`nectar.testing.plugin`), and a directory of computations is a test by one line::

    test_computations = computations(analyze, "computations")

So is all that an executor for :func:`nectar.executor` must do::

    test_my_executor = executor_contract(MyExecutor)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nectar.testing.asking import ask, computations
from nectar.testing.sample import sample as computation

if TYPE_CHECKING:
    from nectar.testing.contract import executor_contract
    from nectar.testing.loaded import Worker, worker
    from nectar.testing.nodes import AnswerError, Node, node

__all__ = ["AnswerError", "Node", "Worker", "ask", "computation", "computations", "executor_contract", "node", "worker"]

# Each run of pytest imports this where nectar dev was run, and few need what these import.
_HOMES = {
    "AnswerError": "nectar.testing.nodes",
    "Node": "nectar.testing.nodes",
    "Worker": "nectar.testing.loaded",
    "executor_contract": "nectar.testing.contract",
    "node": "nectar.testing.nodes",
    "worker": "nectar.testing.loaded",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
