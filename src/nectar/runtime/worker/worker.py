"""The process that runs the handler's code, and nothing else of importance.

It reads frames from a socket and writes frames to it, one answer for each computation. It touches no file of nectar's; what the
code prints goes to descriptors 1 and 2, which the daemon drains. Whatever the code does to this process costs one answer.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import time

from nectar import features, inherited
from nectar.api.answers import as_integer
from nectar.api.computation import Computation, ComputationResult
from nectar.api.context import comp_id
from nectar.errors import NectarError
from nectar.runtime.frames import FAREWELL_FAILED
from nectar.runtime.worker.own import OWN
from nectar.runtime.worker.shield import Channel, complain, describe, die_with, flush, keep_builtins, name_origins, trace

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, NoReturn

    from nectar.runtime.worker.loader import Handler

MEMORY_FACTOR = 2
MEMORY_MARGIN = 1 << 30
"""So much may a worker with a memory limit ask for at once, resident or not: that many times the limit, and so many bytes more."""

MAX_RAISED = 1000
"""Exceptions of the code's signal handlers, while a worker waits for one question, after which it ends."""


_ANSWER = {"do": "answer", "value": None, "error": None, "traceback": None}


def main() -> NoReturn:
    """Serve the socket whose descriptor is the second argument, until the other side closes it."""
    gc.freeze()
    gc.enable()
    descriptor = int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    end = os._exit  # before the code can replace it
    channel = Channel(descriptor, end)
    status = 1
    try:
        status = Worker(channel).run()
    except BaseException as error:  # it has done something to us that nothing here was made for
        complain("nectar's side of the worker", error)
    finally:
        # Threads that the handler left behind must not hold the end up.
        flush()
        end(status)


class Worker:
    """One worker: loads once, answers many."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._pid = os.getpid()
        # Kept here, because the code may replace them where they are.
        self._clock = time.perf_counter
        self._getpid = os.getpid
        self._exit = os._exit
        self._mend = keep_builtins()
        self._limited = ""

    def run(self) -> int:
        first = self.channel.receive()
        if first is None:
            return 0
        order, _ = first
        die_with(order["parent"])
        inherited.give_back(order["limits"])
        unlimited = _limit_memory(order["memory"])
        if order["processes"] is not None:
            features.bound_walled(order["processes"])
            os.setsid()  # bubblewrap's is that of the first process inside
            if os.isatty(0):
                features.take_terminal()
        if order["memory"] is not None:
            self._limited = f" (memory_limit is {order['memory']} bytes)"
        warnings = [*_displaced(order["directory"]), *unlimited]
        handler = self._load(order)
        if handler is None:
            return 1
        self._mend = keep_builtins()  # with what the handler replaced when it was loaded, which is its own affair
        cancels = order["slots"] > 1 and handler.task is not None
        frees = handler.answered is not None
        self.channel.send({"do": "ready", "warnings": [*warnings, *handler.warnings], "cancels": cancels, "frees": frees})
        if order["slots"] > 1:
            self._answer_several(handler, order["slots"])
        else:
            self._answer_one_by_one(handler)
        try:
            handler.stopping()
        except BaseException as error:
            complain("nectar_worker_stopping", error)
            return FAREWELL_FAILED
        return 0

    def _answer_one_by_one(self, handler: Handler) -> None:
        compute, answered = handler.answer, handler.answered
        while (received := self._next()) is not None:
            header, body = received
            if header["do"] == "stop":
                break
            self.send(answer := self.answer(compute, header, body))
            if answered is not None:
                self.send(self.look_after(answered, answer))

    def _answer_several(self, handler: Handler, slots: int) -> None:
        from nectar.runtime.worker.several import answer_all

        loop = handler.coroutines.loop()
        main = loop.create_task(answer_all(self, handler, slots))
        for _ in range(MAX_RAISED):
            try:
                loop.run_until_complete(main)
            except Exception as error:
                if main.done():
                    raise
                self._mend()  # a signal handler of the code's has raised it
                complain("while nothing was asked", error)
            else:
                return

    def _next(self) -> tuple[dict[str, Any], bytes] | None:
        """The next frame. What the code's signal handlers raise meanwhile is its own, and no end of the worker."""
        for _ in range(MAX_RAISED):
            try:
                return self.channel.receive()
            except OSError:
                break
            except Exception as error:
                self._mend()
                complain("while nothing was asked", error)
        return None

    def _load(self, order: dict[str, Any]) -> Handler | None:
        # On a descriptor of its own, because the code may close standard error.
        faulthandler.enable(file=os.dup(2))
        if order["slots"] > 1:
            from nectar.runtime.worker import marked

            marked.install()
        else:
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
        sys.argv = [order["handler"]]
        entry = order["entry"]
        OWN.tell(sys.prefix, order["directory"], order["snapshot"])
        try:
            if order["snapshot"] is not None:
                from nectar.runtime.worker import snapshot

                module, colon, attribute = entry.partition(":")
                entry = snapshot.install(order["snapshot"], order["directory"]).get(module, module) + colon + attribute
            from nectar.runtime.worker.loader import load

            handler = load(entry, [(name, value) for name, value in order["plugins"]], order["pluggy"])
            handler.started()
        except NectarError as error:
            where = None if error.where is None else name_origins(error.where)
            self.channel.send({"do": "failed", "message": error.message, "where": where, "hint": error.hint, "detail": None})
            return None
        except BaseException as error:
            self.channel.send(
                {
                    "do": "failed",
                    "message": f"The handler could not be loaded: {describe(error)}",
                    "where": None,
                    "hint": None,
                    "detail": trace(error),
                },
            )
            return None
        return handler

    def answer(self, compute: Callable[[Computation], object], header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Run one computation.

        :param header: of the frame, and ``body`` its body.
        :returns: the header of the answer.
        """
        begun = self._clock()
        try:
            computation = _read(header, body)
            begun = self._clock()
            return self._succeeded(header, compute(computation), begun)
        except BaseException as error:
            return self._failed(header, error, begun)

    async def answer_as_task(
        self, compute: Callable[[Computation], Awaitable[object]], header: dict[str, Any], body: bytes
    ) -> dict[str, Any]:
        """The same, of an async function."""
        begun = self._clock()
        try:
            computation = _read(header, body)
            begun = self._clock()
            return self._succeeded(header, await compute(computation), begun)
        except BaseException as error:
            return self._failed(header, error, begun)

    def look_after(self, answered: Callable[[ComputationResult], object], answer: dict[str, Any]) -> dict[str, Any]:
        """Have the hook called that comes after an answer.

        :param answer: the header of it.
        :returns: the header of what is to be sent then.
        """
        error = None
        begun = self._clock()
        try:
            answered(
                ComputationResult(
                    comp_id=comp_id.get(),
                    status=answer["status"],
                    value=answer["value"],
                    error=answer["error"],
                    execution_time=answer["seconds"],
                )
            )
        except BaseException as raised:
            error = raised
        self._come_back(begun)
        free = {"do": "free", "job": answer["job"], "error": None, "traceback": None}
        return free if error is None else {**free, "error": describe(error), "traceback": trace(error)}

    def send(self, answer: dict[str, Any]) -> None:
        flush()
        self.channel.send(answer)

    def _succeeded(self, header: dict[str, Any], returned: object, begun: float) -> dict[str, Any]:
        seconds = self._come_back(begun)
        return {**_ANSWER, "job": header["job"], "status": "success", "value": as_integer(returned), "seconds": seconds}

    def _failed(self, header: dict[str, Any], error: BaseException, begun: float) -> dict[str, Any]:
        seconds = self._come_back(begun)
        text = describe(error) + (self._limited if isinstance(error, MemoryError) else "")
        return {**_ANSWER, "job": header["job"], "status": "error", "error": text, "traceback": trace(error), "seconds": seconds}

    def _come_back(self, begun: float) -> float:
        """What comes first after the code has run.

        :returns: for how many seconds it did.
        """
        seconds = self._clock() - begun
        self._mend()
        if self._getpid() != self._pid:
            # The handler forked, and this is the child that came back: it has nothing to say here.
            self._exit(0)
        return seconds


def _read(header: dict[str, Any], body: bytes) -> Computation:
    comp_id.set(header["comp_id"])
    return Computation.from_json(body, comp_id=header["comp_id"], timestamp=header["timestamp"])


def _displaced(directory: str) -> list[str]:
    """What to say where the worker runs somewhere else than in the handler's source directory."""
    try:
        if os.path.samestat(os.stat("."), os.stat(directory)):
            return []
    except OSError:
        pass
    return [f"The handler's directory cannot be entered, and its worker runs in {os.sep} instead: {directory}"]


def _limit_memory(limit: int | None) -> list[str]:
    """Bound what can be asked for at once; what is resident is looked at by the daemon.

    :returns: what to say where that cannot be looked at.
    """
    if limit is None:
        return []
    features.bound_data(0, MEMORY_FACTOR * limit + MEMORY_MARGIN)
    if features.resident_memory(os.getpid()):
        return []
    return ["memory_limit ends no worker here: the system does not tell how much memory a process has"]
