import asyncio
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from service import Service

from async_httpx import hits, nectar_worker_started, nectar_worker_stopping
from nectar.testing import computation


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("SEARCH_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield
        server.shutdown()
        thread.join()


async def answers(*queries: str) -> list[int]:
    """What a worker does with several questions at once."""
    await nectar_worker_started()
    try:
        return await asyncio.gather(*(hits(computation(query=query)) for query in queries))
    finally:
        await nectar_worker_stopping()


def test_eight_at_once() -> None:
    assert asyncio.run(answers(*("bee " * count for count in range(1, 9)))) == [*range(1, 9)]


def test_an_error_of_the_service_is_told() -> None:
    with pytest.raises(RuntimeError, match="the search answered 400 Bad Request"):
        asyncio.run(answers(""))
