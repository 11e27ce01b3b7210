"""Whole questions on an engine: what a worker hands to it, and what answers there, in whatever process runs that.

Only the question, and text and numbers of the answer, cross. The handler is loaded there, once in each process.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
import time

from nectar.api.context import ends
from nectar.errors import NectarError
from nectar.runtime import frames
from nectar.runtime.frames import ENGINE_LOST, EXECUTOR_BROKEN
from nectar.runtime.worker.answering import ANSWER, Answering
from nectar.runtime.worker.loader import Handler, install_ordered, load_ordered
from nectar.runtime.worker.shield import complain, describe, explain, flush, trace

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from concurrent.futures import Executor
    from threading import Thread
    from typing import Any

    from nectar.runtime.worker.dask import DaskExecutor

MARKER = "nectar.json"
"""What an environment of nectar's says of itself: ``portable`` in it is the same wherever it has been built."""
TRIED = 10.0
"""Seconds to try the handler on the engine in, when a worker starts: where all of the engine's have something else to do, it is not tried."""
AFTERWARDS = 5.0
"""Seconds for ``nectar_answered`` there, before the next question."""
ALONE = (
    "When this worker started, the engine had no worker with its environment: questions wait for one until their deadline is over."
)


class Whole:
    """Hands each question to an executor.

    :param order: the frame ``load`` of :mod:`nectar.runtime.frames`.
    """

    def __init__(self, executor: Executor, order: dict[str, Any]) -> None:
        self._executor = executor
        self._order = _carry(order)

    async def answer(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Have one answered.

        :param header: of the frame, and ``body`` its body.
        :returns: the header of the answer.
        """
        import asyncio
        from concurrent.futures import BrokenExecutor

        ends.set(time.monotonic() + header["deadline"])
        told = {key: header[key] for key in ("job", "comp_id", "timestamp", "deadline")}
        begun = time.perf_counter()
        failed = {**ANSWER, "job": header["job"], "status": "error"}
        try:
            result = await asyncio.wrap_future(self._executor.submit(answer, self._order, told, body))
        except BrokenExecutor:
            flush()
            os._exit(EXECUTOR_BROKEN)  # none of the others that it has can be answered, either
        except asyncio.CancelledError:
            nobody = await asyncio.to_thread(self.is_alone)
            text = f"No worker of the engine's was there within {header['deadline']:g} s." if nobody else ""
            return {**failed, "status": "timeout" if text else "error", "error": text, "seconds": time.perf_counter() - begun}
        except BaseException as error:
            said = str(error) if type(error) is RuntimeError else describe(error)
            seconds = time.perf_counter() - begun
            return {**failed, "error": f"On the engine: {said}", "traceback": trace(error), "seconds": seconds}
        if result["do"] == "answer":
            return {**result, "job": header["job"]}
        return {**failed, "error": result["message"], "traceback": result["detail"], "seconds": time.perf_counter() - begun}

    def is_alone(self) -> bool:
        """Whether the engine is known to have no worker for the handler; it is asked, and waited for."""
        try:
            return not getattr(self._executor, "has_workers", lambda: True)()
        except Exception:  # it cannot be asked
            return False

    def try_loading(self) -> str | None:
        """Have one of the engine's workers load the handler.

        :returns: what to say where none has.
        :raises NectarError: it cannot be loaded there.
        """
        if self.is_alone():
            return ALONE
        future = self._executor.submit(load, self._order)
        try:
            failure = future.result(TRIED)
        except TimeoutError:
            future.cancel()
            return f"The handler was not tried on the engine: all of its workers had something else to do for {TRIED:g} s."
        except Exception as error:
            raise NectarError(f"The engine cannot run the handler: {describe(error)}") from error
        if failure is not None:
            raise NectarError(failure["message"], where=failure["where"], hint=failure["hint"], detail=failure["detail"])
        return None


def load_for(order: dict[str, Any]) -> Handler:
    """What a worker has of a handler whose engine is a Dask cluster: that is connected to when it starts.

    :raises NectarError: as :func:`nectar.runtime.worker.loader.load_ordered`; or Dask is not there.
    """
    try:
        from nectar.runtime.worker import dask
    except ImportError as error:
        if error.name not in ("cloudpickle", "dask", "distributed"):
            raise
        return _load_without_dask(order)
    in_parts = order["executor"] == "parts"
    handler = load_ordered(order, "none") if in_parts else Handler(_refuse, [])
    begin, end = handler.started, handler.stopping
    executors: list[DaskExecutor] = []

    def started() -> None:
        more: dict[str, Any] = {}
        if in_parts:
            carried = _carry(order)
            more = {"gives_up": True, "wrap": lambda content: (run_part, (carried, content))}
        tells = {"key": order["identity"], "lock": order["lock"]}
        executor = dask.connect(order["dask"], tells, order["name"], lost=_lost, **more)
        executors.append(executor)
        _give(executor, handler, order)
        begin()

    def stopping() -> None:
        try:
            end()
        finally:
            for executor in executors:
                executor.shutdown(cancel_futures=True)

    handler.started, handler.stopping = started, stopping
    return handler


def _load_without_dask(order: dict[str, Any]) -> Handler:
    """What it has where distributed is not there: that is no fault of the project's whose address comes from a shell alone.

    :raises NectarError: as :func:`load_for`.
    """
    found, missing = order["dask"], "and the handler's environment has no distributed"
    if not found["given"]:
        raise NectarError(
            f"The handler is to run on the Dask cluster at {found['address']}, {missing}.",
            hint='Add distributed to its dependencies, or set executor = "none" under [tool.nectar].',
        ) from None
    handler = load_ordered(order, order["executor"] or "whole")
    handler.warnings.append(f"{found['given']} is {found['address']}, {missing}: it runs here.")
    return handler


def _give(executor: DaskExecutor, handler: Handler, order: dict[str, Any]) -> None:
    """Have a handler, or what it hands to :func:`nectar.executor`, run on an executor.

    :raises NectarError: it cannot be loaded there.
    """
    whole = Whole(executor, order)
    if order["executor"] == "parts":
        from nectar.api.parts import PARTS

        PARTS.given = executor
        warning = ALONE if whole.is_alone() else None
    else:
        handler.given = executor
        warning = whole.try_loading()
    handler.warnings += [warning] if warning else []


def _carry(order: dict[str, Any]) -> dict[str, Any]:
    """Of the frame ``load`` what a process of the engine's needs: paths in the environment are relative to that."""
    snapshot = order["snapshot"] and os.path.relpath(order["snapshot"], sys.prefix)
    return {key: order[key] for key in ("entry", "handler", "plugins", "directory", "identity")} | {"snapshot": snapshot}


def _refuse(_: object) -> object:
    raise NotImplementedError


def _lost() -> None:
    """The end of a worker whose engine is not there any more: nothing that it has can be answered."""
    flush()
    os._exit(ENGINE_LOST)


def load(order: dict[str, Any]) -> dict[str, Any] | None:
    """Load the handler, in a process of the engine's.

    :param order: as :class:`Whole` sends it.
    :returns: None; or why it cannot be loaded, as :func:`nectar.runtime.worker.shield.explain` says it.
    """
    try:
        _find(order)
    except BaseException as error:
        return explain(error)
    return None


def answer(order: dict[str, Any], header: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Answer a question, in a process of the engine's.

    :param order: as for :func:`load`; ``header`` and ``body`` as the daemon has sent them to the worker.
    :returns: the header of the answer; or why the handler cannot be loaded.
    """
    try:
        loaded = _find(order)
    except BaseException as error:
        return {"do": "failed", **explain(error)}
    return loaded.answer_one(header, body)


def run_part(order: dict[str, Any], content: bytes) -> Any:
    """Run a part of a question, in a process of the engine's.

    :param order: as for :func:`load`.
    :param content: function, positional and keyword arguments, pickled.
    :raises NectarError: this is another environment than that of who sends it.
    """
    with _LOADING:
        if not _READY:
            _prepare(order)
            _READY.append(order)
    function, positional, keywords = pickle.loads(content)  # noqa: S301 - whoever has the engine runs code in any case
    return function(*positional, **keywords)


def _prepare(order: dict[str, Any]) -> None:
    """Have the modules of a single file be found, without loading the handler."""
    _check_identity(order["identity"])
    install_ordered(_unfold(order))


class Loaded(Answering):
    """A handler in a process of the engine's."""

    def __init__(self, order: dict[str, Any]) -> None:
        super().__init__()
        _check_identity(order["identity"])
        self._handler = load_ordered(_unfold(order), "none")
        for warning in self._handler.warnings:
            complain("nectar", UserWarning(warning))
        self._handler.started()
        self.loaded()
        self._afterwards: Thread | None = None

    def answer_one(self, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        if self._afterwards is not None:
            self._afterwards.join(AFTERWARDS)
        answer = self.answer(self._handler.answer, header, body)
        flush()
        if self._handler.answered is not None:
            self._begin_afterwards(answer)
        return answer

    def _begin_afterwards(self, answer: dict[str, Any]) -> None:
        from contextvars import copy_context
        from threading import Thread

        def look_after() -> None:
            assert self._handler.answered is not None
            free = self.look_after(self._handler.answered, answer)
            if free["error"] is not None:
                sys.stderr.write(f"nectar_answered failed: {free['error']}\n{free['traceback'] or ''}")
            flush()

        self._afterwards = Thread(target=copy_context().run, args=(look_after,), daemon=True)
        self._afterwards.start()


def _unfold(order: dict[str, Any]) -> dict[str, Any]:
    """What :func:`_carry` has made, as it is here."""
    snapshot = order["snapshot"] and os.path.join(sys.prefix, order["snapshot"])
    pluggy = os.path.join(os.path.dirname(frames.__file__), *[os.pardir] * 3, "deps", "pluggy")
    return {**order, "snapshot": snapshot, "pluggy": os.path.abspath(pluggy)}


def _find(order: dict[str, Any]) -> Loaded:
    key = json.dumps(order, sort_keys=True)
    with _LOADING:
        if key not in _LOADED:
            _LOADED[key] = Loaded(order)
        return _LOADED[key]


def _check_identity(expected: str | None) -> None:
    """:raises NectarError: this environment is another one than the daemon's. Of one that is none of nectar's, nobody can tell."""
    try:
        with open(os.path.join(sys.prefix, MARKER), encoding="utf-8") as file:
            found = json.load(file)["portable"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if expected is not None and found != expected:
        raise NectarError(
            f"The engine's worker has another environment: its key is {found}, and that of the handler's daemon {expected}.",
            where=sys.prefix,
            hint="Start it again from the same source and lock as the daemon: nectar worker.",
        )


_LOADED: dict[str, Loaded] = {}
_READY: list[dict[str, Any]] = []
_LOADING = threading.Lock()
