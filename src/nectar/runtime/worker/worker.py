"""The process that runs the handler's code, and nothing else of importance.

It reads frames from a socket and writes frames to it, one answer for each computation. It touches no file of nectar's; what the
code prints goes to descriptors 1 and 2, which the daemon drains. Whatever the code does to this process costs one answer.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys

from nectar import features, inherited
from nectar.runtime.frames import FAREWELL_FAILED
from nectar.runtime.worker.answering import Answering
from nectar.runtime.worker.shield import Channel, complain, die_with, explain, flush

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from nectar.runtime.worker.loader import Handler

MEMORY_FACTOR = 2
MEMORY_MARGIN = 1 << 30
"""So much may a worker with a memory limit ask for at once, resident or not: that many times the limit, and so many bytes more."""

MAX_RAISED = 1000
"""Exceptions of the code's signal handlers, while a worker waits for one question, after which it ends."""


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


class Worker(Answering):
    """One worker: loads once, answers many."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self.channel = channel

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
            self.limited = f" (memory_limit is {order['memory']} bytes)"
        warnings = [*_displaced(order["directory"]), *unlimited]
        handler = self._load(order)
        if handler is None:
            return 1
        self.loaded()
        whole = handler.given is not None
        several = order["slots"] > 1 or whole
        # What runs elsewhere is mostly not to be ended from here.
        cancels = several and (getattr(handler.given, "cancels", False) if whole else handler.task is not None)
        frees = handler.answered is not None and not whole
        self.channel.send({"do": "ready", "warnings": [*warnings, *handler.warnings], "cancels": cancels, "frees": frees})
        if several:
            self._answer_several(handler, order)
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

    def _answer_several(self, handler: Handler, order: dict[str, Any]) -> None:
        from nectar.runtime.worker.several import answer_all

        loop = handler.coroutines.loop()
        main = loop.create_task(answer_all(self, handler, order))
        for _ in range(MAX_RAISED):
            try:
                loop.run_until_complete(main)
            except Exception as error:
                if main.done():
                    raise
                self.mend()  # a signal handler of the code's has raised it
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
                self.mend()
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
        try:
            if order["dask"] is None or order["executor"] == "none":
                from nectar.runtime.worker.loader import load_ordered

                handler = load_ordered(order, order["executor"] or "whole")
            else:
                from nectar.runtime.worker.whole import load_for

                handler = load_for(order)
            handler.started()
            if order["executor"] == "whole" and handler.given is None:
                handler.warnings.append('executor is "whole", and nothing gives one: each question is answered in a worker.')
        except BaseException as error:
            self.channel.send({"do": "failed", **explain(error)})
            return None
        return handler

    def send(self, answer: dict[str, Any]) -> None:
        flush()
        self.channel.send(answer)


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
