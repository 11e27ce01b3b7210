"""What a handler's author imports in tests.

::

    from nectar.testing import ask, computation

    def test_twice_the_length():
        assert ask(analyze, computation(query="abc")) == 6

:func:`computation` makes a question with plausible values, :func:`ask` answers it by nectar's own rules. With pytest, the first
is a fixture too (:mod:`nectar.testing.plugin`).
"""

from __future__ import annotations

from nectar.testing.asking import ask
from nectar.testing.sample import sample as computation

__all__ = ["ask", "computation"]
