"""A process for tasks of an engine's, one after another: whatever they do to it, the engine's own process goes on.

It gets a frame ``part`` for each, whose body is function, positional and keyword arguments, pickled, and answers each with a frame
``done``, whose body is what :func:`perform` returns.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import os
import pickle
import sys

from nectar.runtime.frames import MAX_BODY
from nectar.runtime.worker.shield import Channel, describe, die_with, flush, keep_builtins, trace

TYPE_CHECKING = False  # typing is not imported in a handler's process
if TYPE_CHECKING:
    from typing import NoReturn

_read = pickle.loads
_write = functools.partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)


def main() -> NoReturn:
    """Serve the socket whose descriptor is the second argument, until the other side closes it, or the third, its PID, has ended."""
    gc.freeze()
    gc.enable()
    descriptor = int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    die_with(int(sys.argv[3]))
    end, own, find_own = os._exit, os.getpid(), os.getpid
    channel = Channel(descriptor, end)
    faulthandler.enable(file=os.dup(2))
    sys.argv = ["nectar"]
    mend = keep_builtins()
    while (received := channel.receive()) is not None:
        result = perform(received[1])
        mend()
        if find_own() != own:
            end(0)  # the code forked, and this is the child that came back: it has nothing to say here
        flush()
        channel.send({"do": "done"}, result)
    end(0)


def perform(content: bytes) -> bytes:
    """Call what is pickled there.

    :returns: pickled, whether it has returned; what it has returned or raised; and of what it raised the author's traceback, or None.
    """
    try:
        function, positional, keywords = _read(content)
        good, value, traceback = True, function(*positional, **keywords), None
    except BaseException as error:
        good, value, traceback = False, error, trace(error)
    try:
        result = _write((good, value, traceback))
        if not good:
            _read(result)  # of some exceptions what is pickled cannot be read
    except BaseException as error:
        what = "a result" if good else f"{describe(value)}, an exception"
        return _fail(f"{what} of the type {type(value).__name__}, which cannot be pickled: {describe(error)}", traceback)
    return result if len(result) <= MAX_BODY else _fail(f"a result of {len(result)} bytes, and {MAX_BODY} can be sent", traceback)


def _fail(text: str, traceback: str | None) -> bytes:
    return _write((False, RuntimeError(text), traceback))
