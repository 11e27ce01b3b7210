"""A file whose module implements hooks, and no @handler."""

import sys

import nectar

BEGUN = []


@nectar.hookimpl
def nectar_worker_started():
    BEGUN.append(1)
    print("started; pluggy", "pluggy" in sys.modules)


@nectar.hookimpl(wrapper=True)
def nectar_compute(computation):
    return (yield) + 1000 * len(BEGUN)


@nectar.hookimpl(specname="nectar_compute", trylast=True)
def really(computation):
    return len(computation.query)


@nectar.hookimpl
def nectar_worker_stopping():
    print("stopping now")
