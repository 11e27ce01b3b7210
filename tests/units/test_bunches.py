"""Which tasks are handed in to a Dask cluster together, and when; a client of Dask's is in the test's hand, as the clock is."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

from nectar.runtime.worker import bunches
from nectar.runtime.worker.bunches import APART, KEPT, Bunched, Bunches

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Client:
    """Also its loop."""

    def __init__(self) -> None:
        self.loop, self.asyncio_loop = self, asyncio.get_running_loop()
        self.add_callback = self.asyncio_loop.call_soon
        self.bunches: list[list[str]] = []
        self.results: dict[str, asyncio.Future[str]] = {}
        self.cancelled: list[str] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.closed = False

    def call_later(self, wait: float, call: Callable[[], None]) -> None:
        self.later.append((wait, call))

    def map(self, _: object, calls: list[io.BytesIO], *, key: list[str], **__: object) -> list[str]:
        if self.closed:
            raise RuntimeError("Client is closed")
        assert [call.read().decode() for call in calls] == key
        self.bunches.append(key)
        self.results |= {name: self.asyncio_loop.create_future() for name in key}
        return key

    async def gather(self, key: str, *, asynchronous: bool) -> str:
        assert asynchronous
        return await self.results[key]

    async def cancel(self, keys: list[str], *, asynchronous: bool) -> None:
        assert asynchronous
        self.cancelled += keys


class Bench:
    def __init__(self) -> None:
        self.client, self.now = Client(), 100.0
        self.bunches = Bunches(self.client, {"place": 1}, clock=lambda: self.now)
        self.tasks: dict[str, tuple[Bunched, asyncio.Task[Any]]] = {}

    async def run(self, names: str) -> None:
        for name in names:
            task = self.bunches.make(name, io.BytesIO(name.encode()))
            self.tasks[name] = task, asyncio.create_task(self.bunches.run(task))
        await settle()

    async def end(self, name: str) -> None:
        self.client.results[name].set_result(name.upper())
        assert await self.tasks[name][1] == name.upper()

    async def cancel(self, name: str) -> None:
        await self.bunches.cancel(self.tasks[name][0])
        await settle()

    def call(self) -> None:
        wait, call = self.client.later.pop()
        self.now += wait
        call()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_comes_together_is_handed_in_together() -> None:
    async def run(bench: Bench) -> None:
        await bench.run("abc")
        assert bench.client.bunches == [["a", "b", "c"]]

    drive(run)


def test_large_ones_are_handed_in_in_bunches_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bunches, "LARGE", 2)

    async def run(bench: Bench) -> None:
        tasks = [bench.bunches.make(text, io.BytesIO(text.encode())) for text in ("a", "b", "c", "large", "d", "ee")]
        running = [asyncio.create_task(bench.bunches.run(task)) for task in tasks]
        await settle()
        assert bench.client.bunches == [["a", "b"], ["c"], ["large"], ["d"], ["ee"]]
        for each in running:
            each.cancel()

    drive(run)


def test_the_next_bunch_waits_where_one_is_under_way() -> None:
    async def run(bench: Bench) -> None:
        await bench.run("a")
        bench.now += APART / 4
        await bench.run("b")
        bench.now += APART / 4
        await bench.run("c")
        assert bench.client.bunches == [["a"]]
        assert [wait for wait, _ in bench.client.later] == [pytest.approx(APART * 3 / 4)]
        bench.call()
        assert bench.client.bunches == [["a"], ["b", "c"]]
        bench.now += APART
        await bench.run("d")
        assert bench.client.bunches[2:] == [["d"]]

    drive(run)


def test_a_task_alone_waits_for_nothing() -> None:
    async def run(bench: Bench) -> None:
        for name in "abc":
            await bench.run(name)
            assert bench.client.bunches[-1] == [name]
            await bench.end(name)

    drive(run)


def test_results_are_let_go_of_together() -> None:
    async def run(bench: Bench) -> None:
        await bench.run("ab")
        await bench.end("a")
        await bench.end("b")
        assert [wait for wait, _ in bench.client.later] == [KEPT]
        assert bench.bunches._over == ["a", "b"]
        bench.call()
        assert bench.bunches._over == []

    drive(run)


def test_what_is_cancelled_is_handed_in_no_more() -> None:
    async def run(bench: Bench) -> None:
        await bench.run("a")
        await bench.run("bc")
        await bench.cancel("b")
        bench.call()
        await settle()
        assert bench.client.bunches == [["a"], ["c"]]
        await bench.cancel("c")
        assert bench.client.cancelled == ["c"]
        assert bench.tasks["b"][1].cancelled()
        await bench.run("d")
        await bench.cancel("d")
        bench.call()
        assert bench.client.bunches == [["a"], ["c"]]

    drive(run)


def test_what_is_cancelled_before_it_waits_costs_the_others_of_its_bunch_nothing() -> None:
    async def run(bench: Bench) -> None:
        task = bench.bunches.make("a", io.BytesIO(b"a"))
        await bench.bunches.cancel(task)
        cancelled = asyncio.create_task(bench.bunches.run(task))
        await bench.run("bc")
        assert cancelled.cancelled()
        assert bench.client.bunches == [["b", "c"]]
        await bench.end("b")
        await bench.end("c")

    drive(run)


def test_a_closed_client_is_told_to_each() -> None:
    async def run(bench: Bench) -> None:
        bench.client.closed = True
        await bench.run("ab")
        for name in "ab":
            with pytest.raises(ConnectionError, match="RuntimeError: Client is closed"):
                await bench.tasks[name][1]
            await bench.cancel(name)  # it has come to nothing

    drive(run)


def drive(run: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def on_a_bench() -> None:
        await run(Bench())

    asyncio.run(on_a_bench())
