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


async def answer_all(worker: Worker, handler: Handler, slots: int) -> None:
    """Answer what comes, until the daemon asks for the end or closes the channel.

    :param slots: how many computations it sends before it has an answer, at most.
    """
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    threads = ThreadPoolExecutor(slots, thread_name_prefix="computation")
    tasks: dict[int, asyncio.Task[None]] = {}

    async def run(header: dict[str, Any], body: bytes) -> None:
        whose.set(header["name"].encode())  # of this task, and of the thread that has its context
        try:
            if handler.task is not None:
                worker.send(await worker.answer_as_task(handler.task, header, body))
                return
            context = contextvars.copy_context()
            answer = await loop.run_in_executor(threads, context.run, worker.answer, handler.answer, header, body)
            worker.send(answer)
            if handler.answered is not None:
                worker.send(await loop.run_in_executor(threads, context.run, worker.look_after, handler.answered, answer))
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
