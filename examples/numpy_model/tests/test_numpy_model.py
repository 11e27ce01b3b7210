import numpy as np
import pytest

from nectar.testing import Worker
from numpy_model import Languages


@pytest.mark.parametrize(
    ("query", "language"),
    [("Where is the bread?", 0), ("Où est le pain ?", 1), ("Wo ist das Brot?", 2), ("¿Dónde está el pan?", 3), ("", 0)],
)
def test_the_language_is_found(worker: Worker, query: str, language: int) -> None:
    assert worker.ask(query) == language


def test_each_row_of_the_model_has_the_length_1() -> None:
    languages = Languages()
    languages.nectar_worker_started()
    assert np.allclose(np.linalg.norm(languages.model, axis=1), 1)
