"""What runs in a process of an engine's: it hands each task to a process of nectar's beside it, so that no task can end the engine's.

An engine whose process dies gives its tasks to the next one, which dies of the same. Here a task that ends its process, or takes longer
than it may, costs that process alone: the engine's goes on, and says what came of it.
"""

from __future__ import annotations

import io
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

from nectar import processes
from nectar.runtime import frames

LAST_WORDS = 1.0
"""Seconds for a process that has closed its channel to end by itself: then how it ended says more."""
_HERE = threading.local()
_SCRIPT = os.path.join(os.path.dirname(frames.__file__), "start.py")


def run(content: bytes, limit: float | None) -> io.BytesIO:
    """Run a task in the process that belongs to this thread of the engine's; it raises nothing.

    :param content: what is called, pickled, see :mod:`nectar.runtime.worker.part`.
    :param limit: seconds that it may take; None for no limit.
    :returns: what :func:`nectar.runtime.worker.part.perform` does, in an object that shows none of it in an engine's logs and pages.
    """
    slot: Slot | None = getattr(_HERE, "slot", None)
    if slot is None:
        slot = _HERE.slot = Slot()
        weakref.finalize(threading.current_thread(), slot.end)
    try:
        return io.BytesIO(slot.run(content, limit))
    except Exception as error:
        return io.BytesIO(failed(RuntimeError(f"it could not be run on the engine: {type(error).__name__}: {error}")))


class Slot:
    """One process for tasks, one after the other: started for the first, and anew for the one after an end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._token = f"{os.environ.get(processes.VARIABLE, 'engine')}/{os.getpid()}-{id(self)}"

    def run(self, content: bytes, limit: float | None) -> bytes:
        """:raises OSError: no process can be started."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._start()
        end = None if limit is None else time.monotonic() + limit
        try:
            self._send(content, end)
            received = self._receive(end)
        except TimeoutError:
            self.end()
            return failed(TimeoutError(f"it took longer than {limit:.2f} s, and was ended"))
        except (OSError, frames.FrameError):
            received = None
        if received is None:
            return failed(RuntimeError(f"its process {self._tell_end()} before it had a result"))
        return received

    def end(self) -> None:
        """Have the process end, with all that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        self._channel.close()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        process.wait()
        processes.end_marked(self._token, seconds=LAST_WORDS)

    def _start(self) -> None:
        own, given = socket.socketpair()
        with given:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-s", _SCRIPT, "part", str(given.fileno()), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[given.fileno()],
                    env={**os.environ, processes.VARIABLE: self._token},
                    start_new_session=True,
                )
            except BaseException:
                own.close()
                raise
        own.setblocking(False)
        self._channel = own

    def _send(self, content: bytes, end: float | None) -> None:
        """:raises TimeoutError: it has not taken all of it by then."""
        for piece in (frames.head({"do": "part"}, len(content)), content):
            left = memoryview(piece)
            while left:
                self._wait(select.POLLOUT, end)
                left = left[self._channel.send(left[: 1 << 20]) :]

    def _receive(self, end: float | None) -> bytes | None:
        """The result; None where the process has closed its channel.

        :raises TimeoutError: there is none by then.
        """
        reader = frames.Reader()

        def read(size: int) -> bytes:
            self._wait(select.POLLIN, end)
            return self._channel.recv(size)

        received = frames.receive(read, reader)
        return None if received is None else received[1]

    def _wait(self, event: int, end: float | None) -> None:
        poll = select.poll()
        poll.register(self._channel, event)
        if not poll.poll(None if end is None else max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError

    def _tell_end(self) -> str:
        """How it has ended, in words; it is nobody's any more then."""
        assert self._process is not None
        try:
            status = self._process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            status = None
        self.end()
        if status is None:
            return "closed its channel to nectar"
        return frames.describe_status(status)


def failed(error: Exception) -> bytes:
    """What a task comes to that has no result."""
    return pickle.dumps((False, error, None))
