"""Computations, one by one, in whatever process runs the handler's code: what is said of each, and what is put right after it."""

from __future__ import annotations

import os
import time

from nectar.api.answers import as_integer
from nectar.api.computation import Computation, ComputationResult
from nectar.api.context import comp_id, ends
from nectar.runtime.worker.shield import describe, keep_builtins, trace

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

ANSWER = {"do": "answer", "value": None, "error": None, "traceback": None}
"""The header of an answer, as :mod:`nectar.runtime.frames` has it, without its job, its status and its time."""


class Answering:
    """:ivar limited: what to say of a MemoryError where the memory is limited."""

    def __init__(self) -> None:
        self.limited = ""
        self._pid = os.getpid()
        # Kept here, because the code may replace them where they are.
        self._clock = time.perf_counter
        self._monotonic = time.monotonic
        self._getpid = os.getpid
        self._exit = os._exit
        self.mend = keep_builtins()

    def loaded(self) -> None:
        """What the handler replaced when it was loaded is its own affair."""
        self.mend = keep_builtins()

    def answer(self, compute: Callable[[Computation], object], header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """Run one computation.

        :param header: of the frame, and ``body`` its body.
        :returns: the header of the answer.
        """
        begun = self._clock()
        try:
            computation = self._read(header, body)
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
            computation = self._read(header, body)
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

    def _succeeded(self, header: dict[str, Any], returned: object, begun: float) -> dict[str, Any]:
        seconds = self._come_back(begun)
        return {**ANSWER, "job": header["job"], "status": "success", "value": as_integer(returned), "seconds": seconds}

    def _failed(self, header: dict[str, Any], error: BaseException, begun: float) -> dict[str, Any]:
        seconds = self._come_back(begun)
        text = describe(error) + (self.limited if isinstance(error, MemoryError) else "")
        return {**ANSWER, "job": header["job"], "status": "error", "error": text, "traceback": trace(error), "seconds": seconds}

    def _come_back(self, begun: float) -> float:
        """What comes first after the code has run.

        :returns: for how many seconds it did.
        """
        seconds = self._clock() - begun
        self.mend()
        if self._getpid() != self._pid:
            # The handler forked, and this is the child that came back: it has nothing to say here.
            self._exit(0)
        return seconds

    def _read(self, header: dict[str, Any], body: bytes) -> Computation:
        comp_id.set(header["comp_id"])
        ends.set(self._monotonic() + header["deadline"])
        return Computation.from_json(body, comp_id=header["comp_id"], timestamp=header["timestamp"])
