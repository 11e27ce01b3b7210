"""A handler whose questions are answered in processes that its hook gives."""

# /// script
# [tool.nectar]
# concurrency = 2
# ///
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import nectar


@nectar.hookimpl
def nectar_executor():
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


@nectar.hookimpl
def nectar_worker_started():
    print("started in", os.getpid())


@nectar.hookimpl
def nectar_answered(result):
    print("answered", result.value)


@nectar.handler
def answer(comp):
    match comp.query:
        case "pid":
            return os.getpid()
        case "threads":
            return int(nectar.executor().submit(os.getpid).result() == os.getpid())
        case "raise":
            raise ValueError("no")
        case "exit":
            os._exit(3)
        case "sleep":
            time.sleep(600)
    return len(comp.query)
