"""What each worker of Dask's that is a handler's is started with: ``dask worker … --preload nectar_preload.py API NAME``.

It puts nectar's own side behind the environment's packages, and has the worker take part only where the handler's daemon, at the other
side of the scheduler, has the same environment. Dask copies the file and imports it under its name, which is hence none that a handler's
module has; and it would go on with a worker whose preload has failed, so nothing is raised here.

Lines of it go to standard error, and begin with ``nectar: ``.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import operator
import os
import signal
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

LOOK = 1.0
"""Seconds between two looks for a daemon that has not told what it has."""
AGAIN = 5.0
"""Seconds between two looks whether it still has the same: it may have been started anew."""
MOST = 4
"""Such looks, one after the other, that show something else."""
PARTS = {"nectar": "nectar", "distributed": "distributed", "python": "Python", "key": "environment", "lock": "lock"}
"""What a daemon tells of itself, as a person calls it."""
LEAVING = 5.0
"""Seconds for a scheduler to let it go; its nanny gives it 8."""
REFUSED = "nectar: refused: "
SERVES = "nectar: serves "


@click.command()
@click.argument("api")
@click.argument("name")
async def dask_setup(worker: Any, api: str, name: str) -> None:
    """Prepare a worker, which is registered when this has ended.

    :param api: the directory with nectar itself.
    :param name: the handler's.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
        for handler in logging.getLogger("distributed").handlers:
            handler.addFilter(shorten)
        sys.path.append(api)
        here = describe()
        told = False
        while not (there := await _ask(worker, name)):
            if not told:
                told = True
                _say(f"nectar: waits until the daemon of {name!r} tells {worker.scheduler.address} which environment it has")
            await asyncio.sleep(LOOK)
        if all(compare(here, one) for one in there):
            _refuse(worker, name, here, there)
        worker.close = functools.partial(_leave, worker, worker.close)
        worker.nectar = asyncio.create_task(_watch(worker, name, here))  # else nobody holds it
    except Exception as error:
        _end(worker, f"nectar: {type(error).__name__}: {error}")


def shorten(record: logging.LogRecord) -> bool:
    """Make a line of what Dask says of a connection that is lost, or of its nanny, for who looks for something: the command tells of it."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, OSError) or (error and record.name == "distributed.nanny"):
        record.msg, record.args = f"{record.getMessage()} {error}".replace("\n", " "), ()
        record.levelno, record.levelname, record.exc_info = logging.INFO, "INFO", None
    return True


def describe() -> dict[str, str]:
    """What this environment is, as a daemon tells it."""
    import nectar

    marker = json.loads((Path(sys.prefix) / "nectar.json").read_bytes())
    return {
        "nectar": nectar.__version__,
        "distributed": version("distributed"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "key": marker["portable"],
        "lock": marker["digests"]["lock"],
    }


def compare(here: dict[str, str], there: dict[str, str]) -> str:
    """In what two sides differ, as a person reads it; nothing where they do not."""
    other = [part for part in PARTS if here[part] != there.get(part)]
    return "; ".join(f"{PARTS[part]} {here[part][:_SHOWN]} here, {str(there.get(part))[:_SHOWN]} there" for part in other)


async def _ask(worker: Any, name: str) -> list[dict[str, str]]:
    """What daemons of a handler of that name have told the scheduler, one or another data dir's; the latest last."""
    found = await worker.scheduler.get_metadata(keys=["nectar", name], default=None) or {}
    told = [one for one in found.values() if isinstance(one, dict)]  # there may be what an older nectar told
    return sorted(told, key=operator.itemgetter("told"))


async def _watch(worker: Any, name: str, here: dict[str, str]) -> None:
    """Say when it is registered, and end it when no daemon has the same any more, and another tells of something else.

    A daemon tells again and again what it has. While it starts anew, that may be undone.
    """
    while worker.status.name == "init":  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.05)
    _say(f"{SERVES}{name!r} as {worker.address} (PID {os.getpid()})")
    known: list[dict[str, str]] = []
    other = 0
    while True:
        await asyncio.sleep(AGAIN)
        with suppress(
            OSError, RuntimeError
        ):  # the scheduler is lost, which Dask goes by itself, or all connections are closed by it
            there = await _ask(worker, name)
            told, known = [one for one in there if one not in known], there
            if told:
                other = other + 1 if all(compare(here, one) for one in told) else 0
            if other == MOST:
                _refuse(worker, name, here, told)


async def _leave(worker: Any, close: Callable[..., Any], **options: Any) -> Any:
    """Close it as its scheduler expects: what it runs, and what waits for it, is run by others then, and has not died with it."""
    if worker.status.name == "running":
        with suppress(OSError):  # there is no scheduler any more
            await asyncio.wait_for(worker.close_gracefully(restart=True), LEAVING)  # which calls this, and leaves the nanny alone
    return await close(**options)


def _refuse(worker: Any, name: str, here: dict[str, str], there: list[dict[str, str]]) -> NoReturn:
    """:param there: what other daemons have, of which the latest is told."""
    difference = compare(here, there[-1])
    _end(
        worker, f"{REFUSED}The daemon of {name!r} at {worker.scheduler.address} has something else than this worker: {difference}."
    )


def _end(worker: Any, why: str) -> NoReturn:
    """End this worker for good: its nanny, which would start another, is our parent."""
    _say(why)
    if worker.nanny:
        os.kill(os.getppid(), signal.SIGTERM)
    os._exit(1)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


_SHOWN = 12
"""Characters of a hash."""
