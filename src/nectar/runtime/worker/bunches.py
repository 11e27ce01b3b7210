"""Tasks for a Dask cluster, handed in and let go of several at a time: most of what they cost a scheduler is for each time, not for each task."""

from __future__ import annotations

import asyncio
import pickle
import time
from contextlib import suppress

TYPE_CHECKING = False  # typing is not imported in a handler's process
if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from typing import Any

APART = 0.01
"""Seconds between two bunches while others of ours are under way; Dask's client lets them pass even where none is."""
LARGE = 1 << 20
"""Bytes of a bunch, beyond which no task is added: of large ones, what each time costs is little, and all of them at once are not to be in memory."""
KEPT = 0.1
"""Seconds that a result is kept there which is here: a worker that is told to let go of one gets its next task later."""


class Bunched:
    """A task.

    :ivar key: its name on the cluster.
    :ivar call: what is unpickled to run it.
    :ivar handed: becomes what Dask knows it as.
    """

    def __init__(self, key: str, call: io.BytesIO, handed: asyncio.Future[Any]) -> None:
        self.key, self.call, self.handed = key, call, handed


class Bunches:
    """Its coroutines are for the client's loop.

    :param client: Dask's.
    :param resources: what a worker must have to get a task.
    :param clock: tells seconds.
    """

    def __init__(self, client: Any, resources: dict[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._resources = resources
        self._clock = clock
        self._waiting: list[Bunched] = []
        self._over: list[Any] = []
        self._running = 0
        self._next = 0.0
        with suppress(AttributeError):  # nobody has promised that it is there
            client.scheduler_comm.interval = 0.001  # what is sent is a bunch already

    def make(self, key: str, call: io.BytesIO) -> Bunched:
        """A task; from any thread."""
        return Bunched(key, call, self._client.loop.asyncio_loop.create_future())

    async def run(self, task: Bunched) -> Any:
        """:returns: its result.
        :raises OSError: the client is closed.
        :raises asyncio.CancelledError: the task has been cancelled.
        :raises Exception: what the cluster says of it.
        """
        self._running += 1
        try:
            self._waiting.append(task)
            if len(self._waiting) == 1:
                self._client.loop.add_callback(self._hand_in)
            known = await task.handed
            result = await self._client.gather(known, asynchronous=True)
        finally:
            self._running -= 1
        self._over.append(known)
        if len(self._over) == 1:
            self._client.loop.call_later(KEPT, self._over.clear)
        return result

    async def cancel(self, task: Bunched) -> None:
        """Have a task not be begun, where it has not been."""
        if not task.handed.cancel() and not task.handed.cancelled() and task.handed.exception() is None:
            await self._client.cancel([task.handed.result()], asynchronous=True)

    def _hand_in(self) -> None:
        wait = self._next - self._clock()
        if wait > 0 and self._running > len(self._waiting):
            self._client.loop.call_later(wait, self._hand_in)
            return
        # One can be cancelled before it waits here, and while it does.
        tasks, self._waiting = [task for task in self._waiting if not task.handed.cancelled()], []
        if not tasks:
            return
        self._next = self._clock() + APART
        for bunch in _part(tasks):
            options = {"key": [task.key for task in bunch], "resources": self._resources}
            try:
                known = self._client.map(pickle.load, [task.call for task in bunch], pure=False, retries=0, **options)
            except Exception as error:  # it has ended
                for task in bunch:
                    task.handed.set_exception(ConnectionError(f"{type(error).__name__}: {error}"))
                continue
            for task, as_known in zip(bunch, known, strict=True):
                task.handed.set_result(as_known)


def _part(tasks: list[Bunched]) -> Iterator[list[Bunched]]:
    """Tasks in their order, in bunches of which none is large but one of a single task."""
    bunch: list[Bunched] = []
    size = 0
    for task in tasks:
        more = task.call.getbuffer().nbytes
        if bunch and size + more > LARGE:
            yield bunch
            bunch, size = [], 0
        bunch.append(task)
        size += more
    yield bunch
