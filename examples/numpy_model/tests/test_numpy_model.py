import numpy as np
import pytest

from nectar.testing import computation
from numpy_model import Languages


@pytest.fixture(scope="module")
def languages() -> Languages:
    languages = Languages()
    languages.nectar_worker_started()
    return languages


@pytest.mark.parametrize(
    ("query", "language"),
    [("Where is the bread?", 0), ("Où est le pain ?", 1), ("Wo ist das Brot?", 2), ("¿Dónde está el pan?", 3), ("", 0)],
)
def test_the_language_is_found(languages: Languages, query: str, language: int) -> None:
    assert languages.nectar_compute(computation(query=query)) == language


def test_each_row_of_the_model_has_the_length_1(languages: Languages) -> None:
    assert np.allclose(np.linalg.norm(languages.model, axis=1), 1)
