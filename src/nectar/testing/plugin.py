"""The pytest plugin: the fixtures ``computation`` and ``worker``, and the marker ``nectar``.

pytest finds it where ``nectar dev`` was run. It works with whatever pytest the handler's project has.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nectar.errors import NectarError
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nectar.api.computation import Computation
    from nectar.testing.loaded import Worker

MARKER = (
    "nectar(project=…, handler=…): of which handler the fixture `worker` is: the project's directory, from the test's file "
    "on, and the name of the entry point"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture(name="computation")
def computation_factory() -> Callable[..., Computation]:
    """Makes a question: ``computation(query="abc", deadline=5)``; fields that are left out get plausible values."""
    return sample


@pytest.fixture(name="worker")
def loaded_worker(request: pytest.FixtureRequest, _nectar_workers: Workers) -> Worker:
    """The project's handler, loaded once for all tests that ask for it, as by :func:`nectar.testing.worker`.

    Of which project and which entry point, where that is not the one that the test's file is in, or not its only one:
    ``@pytest.mark.nectar(project="../other", handler="name")``.
    """
    return _nectar_workers.find(*_asked_for(request))


@pytest.fixture(scope="session")
def _nectar_workers() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


class Workers(contextlib.ExitStack):
    """The workers of all tests, each loaded when it is first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: dict[tuple[Path, str | None], Worker] = {}

    def find(self, project: Path, handler: str | None) -> Worker:
        from nectar.testing.loaded import worker

        found = self._loaded.get((project, handler))
        if found is None:
            with told():
                found = self._loaded[project, handler] = self.enter_context(worker(handler, project=project))
        found.forget_printed()
        return found


def _asked_for(request: pytest.FixtureRequest) -> tuple[Path, str | None]:
    """Project and entry point, by the test's nearest marker."""
    from pathlib import Path

    marker = request.node.get_closest_marker("nectar")
    given = dict(marker.kwargs) if marker else {}
    project, handler = given.pop("project", "."), given.pop("handler", None)
    if given or (marker and marker.args):
        pytest.fail(f"@pytest.mark.nectar takes project= and handler=, not {(*marker.args, *given)}.", pytrace=False)
    return (Path(str(request.node.fspath)).parent / project).resolve(), handler


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Have nectar's errors shown as the command shows them, and not with a traceback through our code."""
    try:
        yield
    except NectarError as error:
        pytest.fail("\n".join([error.message, *getattr(error, "__notes__", ())]), pytrace=False)
