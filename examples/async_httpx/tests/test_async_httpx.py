import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from service import Service

from nectar.testing import Worker, worker


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """The handler as in a worker, with its hooks, beside a service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("SEARCH_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with worker() as loaded:
            yield loaded
        server.shutdown()
        thread.join()


def test_eight_at_once(loaded: Worker) -> None:
    assert loaded.ask_all([" ".join(["bee"] * count) for count in range(1, 9)]) == [*range(1, 9)]


def test_an_error_of_the_service_is_told(loaded: Worker) -> None:
    with pytest.raises(RuntimeError, match="the search answered 400 Bad Request"):
        loaded.ask("")
