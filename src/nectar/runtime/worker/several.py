"""Several computations at once in one worker: async functions as tasks of one loop, all else in threads.

The loop also reads the frames and writes the answers, one after the other. A task can be ended from outside, and a thread cannot.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nectar.runtime.worker.marked import whose

if TYPE_CHECKING:
    from nectar.runtime.worker.loader import Handler
    from nectar.runtime.worker.worker import Worker


async def answer_all(worker: Worker, handler: Handler, order: dict[str, Any]) -> None:
    """Answer what comes, until the daemon asks for the end or closes the channel.

    :param order: the frame ``load`` of :mod:`nectar.runtime.frames`; no more computations than its ``slots`` come before an answer.
    """
    loop = asyncio.get_running_loop()
    whole = None
    if handler.given is not None:
        from nectar.runtime.worker.whole import Whole

        whole = Whole(handler.given, order)
    over = asyncio.Event()
    threads = ThreadPoolExecutor(order["slots"], thread_name_prefix="computation")
    tasks: dict[int, asyncio.Task[None]] = {}

    async def run(header: dict[str, Any], body: bytes) -> None:
        whose.set(header.get("name", "").encode())  # of this task, and of the thread that has its context
        try:
            if whole is not None:
                worker.send(await whole.answer(header, body))
            elif handler.task is not None:
                worker.send(await worker.answer_as_task(handler.task, header, body))
            else:
                await _answer_in_thread(worker, handler, threads, header, body)
        finally:
            del tasks[header["job"]]

    def take() -> None:
        frames = worker.channel.take()
        for header, body in frames or []:
            match header["do"]:
                case "run":
                    tasks[header["job"]] = loop.create_task(run(header, body))
                case "cancel" if header["job"] in tasks:
                    tasks[header["job"]].cancel()
                case "stop":
                    over.set()
        if frames is None:
            over.set()

    loop.add_reader(worker.channel.descriptor, take)
    await over.wait()
    loop.remove_reader(worker.channel.descriptor)


async def _answer_in_thread(
    worker: Worker, handler: Handler, threads: ThreadPoolExecutor, header: dict[str, Any], body: bytes
) -> None:
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    answer = await loop.run_in_executor(threads, context.run, worker.answer, handler.answer, header, body)
    worker.send(answer)
    if handler.answered is not None:
        worker.send(await loop.run_in_executor(threads, context.run, worker.look_after, handler.answered, answer))
