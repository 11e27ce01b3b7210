"""Asks a web service for eight questions at once (``concurrency = 8``), over one client that is kept as long as the process.

The entry point names this module and not only the function, so that its hooks are called. All of it runs in one event loop.
"""

import os

import httpx

from nectar import Computation, handler, hookimpl

URL = "https://search.example.com/"
"""Of the service; the environment variable ``SEARCH_URL`` gives another."""

clients: list[httpx.AsyncClient] = []


@hookimpl
async def nectar_worker_started() -> None:
    clients.append(httpx.AsyncClient(base_url=os.environ.get("SEARCH_URL", URL)))


@hookimpl
async def nectar_worker_stopping() -> None:
    await clients.pop().aclose()


@handler
async def hits(comp: Computation) -> int:
    """Return how many pages the service finds."""
    response = await clients[0].post("/search", json={"text": comp.query}, timeout=comp.deadline / 2)
    if response.is_error:
        raise RuntimeError(f"the search answered {response.status_code} {response.reason_phrase}")
    return response.json()["hits"]
