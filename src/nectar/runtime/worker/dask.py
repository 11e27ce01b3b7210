"""Tasks on a Dask cluster, through an executor that keeps what the standard library says of one; Dask's own does not.

Of all that crosses, the scheduler and its pages see a key and bytes. The cluster's workers need nectar on their path, its scheduler does not.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import re
import sys
import threading
import time
import uuid
import warnings
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from contextlib import suppress
from importlib.metadata import version

import cloudpickle
from distributed import Client
from distributed.scheduler import KilledWorker
from distributed.security import Security

import nectar
from nectar.api.context import ends
from nectar.errors import NectarError
from nectar.runtime.frames import MAX_BODY
from nectar.runtime.worker import remote
from nectar.runtime.worker.bunches import Bunches

TYPE_CHECKING = False  # typing is not imported in a handler's process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from nectar.runtime.worker.bunches import Bunched

    _Result = TypeVar("_Result")

GRACE = 0.25
"""Seconds that a task may take beyond the deadline of what it is a part of: until then nobody waits for it any more."""
LOOK = 1.0
"""Seconds between two looks whether the scheduler is there, while no task would tell."""
RETOLD = 5
"""Such looks from one telling to the next."""
CLOSING = 2.0
"""Seconds for the connection to be closed."""
LEAD = 0.25
"""Seconds before the deadline of what a task is a part of, or half of those left, at which nobody waits any more for a worker to come."""
NOBODY = "no worker of the engine's was there for it by its deadline"
LOST = "the connection to the engine's scheduler was lost"


class DaskExecutor(Executor):
    """:param address: the scheduler's.
    :param timeout: seconds for the connection.
    :param name: of the handler, with which the scheduler's pages begin the names of its tasks.
    :param place: what a worker of the cluster must have to get any of them, as Dask's resources are called; None: each gets some.
    :param lost: called once, from any thread, when the scheduler is not there any more: nothing can be done with this executor then.
    :param gives_up: whether a task for which no worker is there ends before the deadline of what it is a part of, so that this can say why.
    :param wrap: makes of what is pickled what is called with it there.
    :raises OSError: there is no scheduler at the address.
    """

    cancels = True
    """A future can be cancelled whose task runs, which has an end of its own then: the executors of the standard library have no such thing."""

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 5,
        security: Security | None = None,
        name: str = "nectar",
        place: str | None = None,
        lost: Callable[[], object] = lambda: None,
        gives_up: bool = False,
        wrap: Callable[[bytes], tuple[Callable[..., Any], tuple[Any, ...]]] | None = None,
    ) -> None:
        self._name = name
        self._resources = {} if place is None else {place: 1}
        self._told: dict[str, Any] = {}
        self._asking, self._asked, self._has_workers = asyncio.Lock(), -LOOK, False
        self._tell_lost = lost
        self._gives_up = gives_up
        self._ends: set[float] = set()
        self._wrap = wrap
        self._lock = threading.Lock()
        self._open: dict[Future[Any], tuple[Bunched, float | None]] = {}
        self._shut = self._lost = False
        make: Any = Client  # it has no types
        self._client = _within(
            timeout + CLOSING,
            lambda: make(address, timeout=timeout, security=security, set_as_default=False, direct_to_workers=False),
        )
        self._bunches = Bunches(self._client, self._resources)
        self._client.subscribe_topic("all", self._heed)
        self._client.loop.add_callback(self._watch)

    def submit(self, function: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """:raises RuntimeError: it is shut down, or has lost the scheduler.

        What cannot be pickled, or is too much, is told by the future.
        """
        future: Future[_Result] = Future()
        try:
            content = self._pickle(function, args, kwargs)
        except Exception as error:
            future.set_exception(error)
            return future
        end = ends.get()
        limit = None if end is None else max(0.0, end - time.monotonic()) + GRACE
        with self._lock:
            if self._lost:
                raise BrokenExecutor(LOST)
            if self._shut:
                raise RuntimeError("a task was handed in after the shutdown of its executor")
            # The scheduler unpickles a call, of builtins here; unpickled by the worker, what is in there calls nectar.
            call = io.BytesIO(pickle.dumps(_Call(content, limit), protocol=pickle.HIGHEST_PROTOCOL))
            ended = self._client.status == "closed"
            if not ended:
                task = self._bunches.make(f"{self._name}-{uuid.uuid4().hex}", call)
                self._open[future] = task, end
                self._client.loop.add_callback(self._follow, future, task)
        if ended:
            self._lose()
            raise BrokenExecutor(LOST)
        future.add_done_callback(self._forget)
        if self._gives_up and end is not None and not self._has_workers:
            self._client.loop.add_callback(self._expect, end)
        return future

    def has_workers(self) -> bool:
        """Whether there is any for the tasks. It asks the scheduler, once in a while, and waits for that."""
        there: bool = self._client.sync(self._look_for_workers)
        return there

    def tell(self, keys: list[str], fields: dict[str, Any]) -> None:
        """Leave something with the scheduler, for whoever asks it; again and again, with the time, which shows that it still holds."""
        self._told = {"keys": keys, "value": fields}
        self._client.sync(self._tell)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._shut = True
            futures = [*self._open]
        if cancel_futures:
            for future in reversed(futures):
                future.cancel()
        if wait:
            for future in futures:
                with suppress(CancelledError):
                    future.exception()
        closing = self._close_at_last()
        if wait and closing is not None:
            closing.join(CLOSING)

    def _pickle(self, *call: Any) -> bytes:
        """:raises ValueError: it is too much."""
        content: bytes = cloudpickle.dumps(call)
        if self._wrap is not None and len(content) <= MAX_BODY:
            content = cloudpickle.dumps((*self._wrap(content), {}))
        if len(content) > MAX_BODY:
            raise ValueError(f"what it is called with is {len(content)} bytes, and {MAX_BODY} can be sent")
        return content

    def _forget(self, future: Future[Any]) -> None:
        """It is done: the first of what is called then."""
        with self._lock:
            task, _ = self._open.pop(future)
        if future.cancelled():
            future.set_running_or_notify_cancel()  # who waits for it is only told by this
            with suppress(Exception):  # there may be no connection any more
                self._client.loop.add_callback(self._cancel, task)
        self._close_at_last()

    async def _cancel(self, task: Bunched) -> None:
        with suppress(Exception):
            await self._bunches.cancel(task)

    async def _follow(self, future: Future[Any], task: Bunched) -> None:
        """Settle a future by what becomes of its task."""
        try:
            result = await self._bunches.run(task)
            good, value, traceback = pickle.loads(result.getbuffer())  # noqa: S301 - whoever has the engine runs code in any case
        except KilledWorker:
            good, value, traceback = False, RuntimeError("the engine's workers died while they ran it"), None
        except (CancelledError, asyncio.CancelledError, OSError) as error:
            if future.done():
                return
            good, value, traceback = False, BrokenExecutor(f"{LOST}: {type(error).__name__}"), None
            self._lose()
        except BaseException as error:
            good, value, traceback = False, RuntimeError(f"the engine could not run it: {type(error).__name__}: {error}"), None
        if traceback is not None:
            value.__cause__ = RemoteTraceback(traceback)
        with suppress(InvalidStateError):  # it was cancelled
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)

    async def _tell(self) -> None:
        await self._client.scheduler.set_metadata(keys=self._told["keys"], value={**self._told["value"], "told": time.time()})

    async def _look_for_workers(self) -> bool:
        async with self._asking:
            if time.monotonic() >= self._asked + LOOK:
                workers = (await self._client.scheduler.identity(n_workers=-1))["workers"].values()
                self._has_workers = any(self._resources.keys() <= worker["resources"].keys() for worker in workers)
                self._asked = time.monotonic()
            return self._has_workers

    def _expect(self, end: float) -> None:
        """Be there shortly before a deadline: there is nobody to run what it is for."""
        if end not in self._ends:
            self._ends.add(end)
            left = max(0.0, end - time.monotonic())
            self._client.loop.call_later(left - min(LEAD, left / 2), self._give_up, end)

    async def _give_up(self, end: float) -> None:
        """Where there is still nobody, say so to who waits for it."""
        self._ends.discard(end)
        try:
            there = await self._look_for_workers()
        except Exception:
            return  # the connection is lost, which is told in another way
        with self._lock:
            late = [(future, task) for future, (task, its_end) in self._open.items() if its_end == end and not there]
        for future, task in late:
            with suppress(InvalidStateError):
                future.set_exception(TimeoutError(NOBODY))
                await self._cancel(task)

    def _heed(self, event: tuple[float, dict[str, Any]]) -> None:
        """Of what happens to the cluster's workers: a task that one runs when it dies, or whose result goes with it, is not to be run again.

        A worker runs what it got first, and has others at hand, which are run elsewhere.
        """
        message = event[1]
        if message.get("action") != "remove-worker":
            return
        self._asked, self._has_workers = -LOOK, False  # until it is looked for
        running = () if message.get("expected") else message.get("processing-tasks") or ()
        over = message.get("lost-computed-tasks") or ()
        with self._lock:
            found = [(future, task) for future, (task, _) in self._open.items() if task.key in over]
            found += [(future, task) for future, (task, _) in self._open.items() if task.key in running][:1]
        for future, task in found:
            with suppress(InvalidStateError):
                future.set_exception(RuntimeError("the engine's worker died while it ran it"))
            self._client.loop.add_callback(self._cancel, task)

    async def _watch(self) -> None:
        """Notice that the scheduler is gone, which it tells nobody who waits for nothing."""
        looks = 0
        while not self._lost and self._client.status in ("running", "newly-created"):
            await asyncio.sleep(LOOK)
            looks += 1
            with suppress(Exception):
                if self._told and not self._shut and looks % RETOLD == 0:
                    await self._tell()
                if self._gives_up and not self._has_workers and not await self._look_for_workers():
                    with self._lock:
                        due = {end for _, end in self._open.values() if end is not None}
                    for end in due:
                        self._expect(end)
        if not self._shut:
            self._lose()

    def _lose(self) -> None:
        with self._lock:
            first, self._lost = not self._lost, True
        if first:
            self._tell_lost()
            self._close_at_last()

    def _close_at_last(self) -> threading.Thread | None:
        """Close the connection, once nobody needs it any more. It is closed by a thread, because this may be its own."""
        with self._lock:
            if self._open or not (self._shut or self._lost):
                return None
        thread = threading.Thread(target=self._close, name="closing", daemon=True)
        thread.start()
        return thread

    def _close(self) -> None:
        with suppress(Exception):
            self._client.close(CLOSING)


def _within(seconds: float, make: Callable[[], _Result]) -> _Result:
    """What is made, where that does not take longer: a client waits for ever for what answers otherwise than a scheduler.

    :raises TimeoutError: it does, and may go on to.
    """
    made: Future[_Result] = Future()

    def run() -> None:
        try:
            made.set_result(make())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, name="connecting", daemon=True).start()
    try:
        return made.result(seconds)
    except TimeoutError:
        raise TimeoutError from None


def connect(found: dict[str, Any], tells: dict[str, Any], name: str, **more: Any) -> DaskExecutor:
    """An executor on the cluster that settings name, and which now knows of the handler.

    :param found: ``dask`` of :class:`nectar.protocol.Loading`.
    :param tells: what the cluster's workers are to compare with theirs.
    :param name: the handler's.
    :param more: for :class:`DaskExecutor`.
    :raises NectarError: there is no scheduler, or it cannot be talked to.
    """
    # What is large is so because somebody wants it so: the handler's author, who would read it in the log each time.
    warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
    address, security = found["address"], None
    if found["tls_ca"] is not None:
        make: Any = Security  # it has no types
        security = make(
            tls_ca_file=found["tls_ca"],
            tls_client_cert=found["tls_cert"],
            tls_client_key=found["tls_key"],
            require_encryption=True,
        )
    try:
        place = f"nectar-{tells['key']}"
        executor = DaskExecutor(address, timeout=found["timeout"], security=security, name=name, place=place, **more)
    except Exception as error:
        raise NectarError(f"No Dask scheduler answers at {address}: {_explain(error)}.", hint=_advise(found)) from error
    mine = {
        "nectar": nectar.__version__,
        "distributed": version("distributed"),
        "python": "{}.{}".format(*sys.version_info),
    }
    # Handlers of this name may run from several data dirs, and not all of the same code.
    executor.tell(["nectar", name, f"{tells['key']} {nectar.__version__}"], {**mine, **tells})
    return executor


def _explain(error: BaseException | None) -> str:
    """The system's own word, where there is one: what Dask says of it has the address again, and what it was about to do."""
    text = f"what is there does not answer as one of distributed {version('distributed')} does"
    while error is not None:
        if isinstance(error, (OSError, ImportError)) and str(error):
            text = getattr(error, "strerror", None) or re.sub(r"^\[Errno [0-9]+\] ", "", str(error))
        error = error.__cause__ or error.__context__
    return text.strip().rstrip(".")


def _advise(found: dict[str, Any]) -> str:
    where = f"the address that was given with {found['given']}" if found["given"] else "address under [tool.nectar.dask]"
    tls = "" if found["tls_ca"] is not None else ", and whether it wants TLS (tls_ca, tls_cert, tls_key)"
    return f"Look whether one runs there, and correct {where}{tls}."


class RemoteTraceback(Exception):  # noqa: N818 - it is shown as the cause of an error, and is none itself
    """Where something was raised in an engine's process, in the lines of its traceback."""

    def __str__(self) -> str:
        return f"\n{self.args[0].rstrip()}"


class _Call:
    """What is pickled as a call of nectar's on a worker of the engine's."""

    def __init__(self, content: bytes, limit: float | None) -> None:
        self._called = content, limit

    def __reduce__(self) -> tuple[Any, ...]:
        return remote.run, self._called
