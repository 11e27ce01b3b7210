from collections.abc import Iterator

import pluggy
import pytest

from nectar import Computation, hookimpl
from nectar.api import hookspecs
from nectar.testing import ask, computation
from warm_model import hooks, mood
from warm_model.model import MODEL


class Worker:
    """Calls the hooks as nectar's worker does, with the handler's function as the last to be asked."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("nectar")
        self.manager.add_hookspecs(hookspecs)
        self.manager.register(hooks)
        self.manager.register(self)

    @hookimpl(trylast=True)
    def nectar_compute(self, computation: Computation) -> int:
        return ask(mood, computation)

    def answer(self, query: str) -> int:
        return self.manager.hook.nectar_compute(computation=computation(query=query))


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    worker.manager.hook.nectar_worker_started()
    yield worker
    worker.manager.hook.nectar_worker_stopping()


def test_words_weigh(worker: Worker) -> None:
    assert worker.answer("Good, great!") == 5


def test_nothing_is_below_zero(worker: Worker) -> None:
    assert worker.answer("awful") == 0


def test_the_model_is_loaded_once(worker: Worker) -> None:
    before = MODEL.loads
    for _ in range(3):
        worker.answer("fine")
    assert MODEL.loads == before


def test_without_the_hook_there_is_no_model() -> None:
    with pytest.raises(RuntimeError, match="not loaded"):
        ask(mood, computation(query="fine"))
