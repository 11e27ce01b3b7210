"""A handler whose questions are answered on an engine."""

# /// script
# dependencies = ["distributed"]
# [tool.nectar]
# concurrency = 64
# ///
import os
import time

import nectar


@nectar.hookimpl
def nectar_executor():
    raise RuntimeError("an address counts more")


@nectar.hookimpl
def nectar_worker_started():
    print("started", nectar.executor())


@nectar.hookimpl
def nectar_answered(result):
    print("answered", result.status)


@nectar.handler
def answer(comp):
    print("asked", comp.query)
    match comp.query.split():
        case "parent", *_:
            return os.getppid()
        case "pid", *_:
            return os.getpid()
        case "sleep", seconds, *_:
            time.sleep(float(seconds))
        case "wait", file:
            while not os.path.exists(file):
                time.sleep(0.02)
        case "exit", status:
            os._exit(int(status))
        case "raise", *_:
            raise ValueError("no")
        case "parts", *_:
            return sum(nectar.executor().map(int, "123"))
    return len(comp.query)
