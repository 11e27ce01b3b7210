"""A handler that hands parts of its question to an executor, which its hook gives; two at once."""

# /// script
# [tool.nectar]
# concurrency = 2
# executor = "parts"
# ///
import asyncio
import os
from concurrent.futures import ProcessPoolExecutor

import nectar


class Pool(ProcessPoolExecutor):
    def shutdown(self, wait=True, *, cancel_futures=False):
        print("shut down", wait, cancel_futures)
        super().shutdown(wait=wait, cancel_futures=cancel_futures)


@nectar.hookimpl
async def nectar_executor():
    return Pool(2)


@nectar.hookimpl
def nectar_worker_started():
    print("started", *nectar.executor().map(abs, [-1]))


@nectar.handler
async def analyze(comp):
    loop = asyncio.get_running_loop()
    parts = [loop.run_in_executor(nectar.executor(), part) for _ in range(2)]
    return int(os.getpid() not in await asyncio.gather(*parts))


def part():
    """In a process of the pool's, which has its own threads: it waits for no place in the pool."""
    return nectar.executor().submit(os.getpid).result()


@nectar.hookimpl
def nectar_worker_stopping():
    print("stopping", *nectar.executor().map(abs, [-2]))
