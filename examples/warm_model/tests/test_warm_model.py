import pytest

from nectar.testing import Worker, computation
from warm_model.model import MODEL, Model


def test_words_weigh(worker: Worker) -> None:
    assert worker.ask("Good, great!") == 5


def test_nothing_is_below_zero_or_above_what_may_be(worker: Worker) -> None:
    assert worker.ask("awful") == 0
    assert worker.ask(computation("great", metadata={"highest": 2})) == 2


def test_the_model_is_loaded_once(worker: Worker) -> None:
    before = MODEL.loads
    assert worker.ask_all(["fine", "good", "fine"]) == [1, 2, 1]
    assert MODEL.loads == before


def test_nothing_is_scored_before_the_model_is_loaded() -> None:
    with pytest.raises(RuntimeError, match="not loaded"):
        Model().score("fine")
