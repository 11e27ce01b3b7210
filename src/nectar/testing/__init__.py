"""What a handler's author imports in tests.

::

    from nectar.testing import ask, computation

    def test_twice_the_length():
        assert ask(analyze, computation(query="abc")) == 6

:func:`computation` makes a question with plausible values, :func:`ask` answers it by nectar's own rules, and :func:`worker` loads the
project's handler with its hooks. With pytest, the first and the last are fixtures too (:mod:`nectar.testing.plugin`), and a
directory of computations is a test by one line::

    test_computations = computations(analyze, "computations")
"""

from __future__ import annotations

from nectar.testing.asking import ask, computations
from nectar.testing.loaded import Worker, worker
from nectar.testing.sample import sample as computation

__all__ = ["Worker", "ask", "computation", "computations", "worker"]
