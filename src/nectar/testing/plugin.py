"""The pytest plugin: the fixtures ``computation``, ``worker`` and ``node``, and the marker ``nectar``.

pytest finds it where ``nectar dev`` was run. It works with whatever pytest the handler's project has.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nectar.errors import NectarError
from nectar.testing.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nectar.api.computation import Computation
    from nectar.testing.loaded import Worker
    from nectar.testing.nodes import Node

MARKER = (
    "nectar(project=…, handler=…): of which handler the fixtures `worker` and `node` are: the project's directory, from the test's "
    "file on, and the name of the entry point"
)
DATA_DIR = "nectar_data_dir"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    given = getattr(config, "workerinput", {}).get(DATA_DIR)
    if given is not None:
        from nectar.testing.nodes import DATA_DIRS

        DATA_DIRS.path = Path(given)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Of pytest-xdist: have all its processes use one data dir, so that each environment is built once."""
    from nectar.testing.nodes import DATA_DIRS

    node.workerinput[DATA_DIR] = str(DATA_DIRS.path)


def pytest_unconfigure(config: pytest.Config) -> None:
    if "nectar.testing.nodes" in sys.modules:
        from nectar.testing.nodes import DATA_DIRS

        DATA_DIRS.close(wait=not hasattr(config, "workerinput"))


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
    with told():
        return _nectar_workers.find(*_asked_for(request))


@pytest.fixture(name="node")
def launched_node(request: pytest.FixtureRequest, _nectar_nodes: Nodes) -> Node:
    """A node whose questions the project's handler answers, launched once for all tests that ask for it, as by
    :func:`nectar.testing.node`; of which project, as for ``worker``.
    """
    with told():
        return _nectar_nodes.find(*_asked_for(request))


@pytest.fixture(scope="session")
def _nectar_workers() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


@pytest.fixture(scope="session")
def _nectar_nodes() -> Nodes:
    return Nodes()


class Workers(contextlib.ExitStack):
    """The workers of all tests, each loaded when it is first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded: dict[tuple[Path, str | None], Worker] = {}

    def find(self, project: Path, handler: str | None) -> Worker:
        from nectar.testing.loaded import worker

        key = project, handler
        if key not in self._loaded:
            self._loaded[key] = self.enter_context(worker(handler, project=project))
        return self._loaded[key].begin()


class Nodes:
    """The nodes of all tests, each with a handler that is launched when it is first asked for, and stopped when all tests have run."""

    def __init__(self) -> None:
        self._launched: dict[tuple[Path, str | None], Node | NectarError] = {}

    def find(self, project: Path, handler: str | None) -> Node:
        from nectar.testing.nodes import launch
        from nectar.testing.projects import noted

        key = project, handler
        if key not in self._launched:
            try:
                with noted():
                    self._launched[key] = launch(handler, project)
            except NectarError as error:  # as it would be for each test
                self._launched[key] = error
        found = self._launched[key]
        if isinstance(found, NectarError):
            raise found
        return found.begin()


def _asked_for(request: pytest.FixtureRequest) -> tuple[Path, str | None]:
    """Project and entry point, by the test's nearest marker."""
    from nectar.testing.projects import find_project, noted

    marker = request.node.get_closest_marker("nectar")
    given = dict(marker.kwargs) if marker else {}
    project, handler = given.pop("project", None), given.pop("handler", None)
    if given or (marker and marker.args):
        pytest.fail(f"@pytest.mark.nectar takes project= and handler=, not {(*marker.args, *given)}.", pytrace=False)
    place = Path(str(request.node.fspath)).parent
    if project is not None:
        return (place / project).resolve(), handler
    with noted():
        return find_project(place).directory, handler


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Have nectar's errors shown as the command shows them, and not with a traceback through our code."""
    try:
        yield
    except NectarError as error:
        said = "\n".join([error.message, *getattr(error, "__notes__", ())])
        raise pytest.fail.Exception(said, pytrace=False) from None
