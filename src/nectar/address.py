"""A socket's place in the file system, at a path of any length: the kernel takes some hundred bytes.

A longer path goes through a descriptor of its directory where ``/proc`` leads there. Elsewhere the call is made in that directory, by a
short-lived child: it has the same socket, so that there is nothing to be handed back, and this process, in which threads may run,
stays in the directory that it is in.
"""

from __future__ import annotations

import errno
import os

from nectar import features

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    import socket
    from pathlib import Path
    from typing import Literal

LONGEST = 103
"""Bytes that each system takes; Linux takes four more."""
_PATIENCE = 20.0
"""Seconds for a child, which does nothing but start; fewer where the socket's own timeout is shorter."""
_CHILD = """
import socket, sys
descriptor, call, name = sys.argv[1:]
try:
    getattr(socket.socket(fileno=int(descriptor)), call)(name)
except OSError as error:
    print(error.errno)
else:
    print(0)
"""


def aside(path: Path) -> Path:
    """Where a socket is until it listens: who found it at its path before that would be refused."""
    return path.with_suffix(".bound")


def bind(unix: socket.socket, path: Path) -> None:
    """:raises OSError: as :meth:`socket.socket.bind`."""
    _call("bind", unix, path)


def connect(unix: socket.socket, path: Path) -> None:
    """Connect, and wait for nothing where the socket has a timeout.

    :raises OSError: as :meth:`socket.socket.connect`.
    """
    _call("connect", unix, path)


def _call(call: Literal["bind", "connect"], unix: socket.socket, path: Path) -> None:
    if len(os.fsencode(path)) <= LONGEST:
        getattr(unix, call)(str(path))
    elif features.has_proc():
        directory = os.open(path.parent, os.O_RDONLY if features.O_PATH is None else features.O_PATH)
        try:
            getattr(unix, call)(f"{features.path_of(directory)}/{path.name}")
        finally:
            os.close(directory)
    else:
        _call_in_a_child(call, unix, path)


def _call_in_a_child(call: str, unix: socket.socket, path: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-I", "-S", "-c", _CHILD, str(unix.fileno()), call, path.name]
    try:
        told = subprocess.run(
            command,
            cwd=path.parent,
            pass_fds=[unix.fileno()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=unix.gettimeout() or _PATIENCE,
        )
        number = int(told.stdout)
    except subprocess.TimeoutExpired:
        number = errno.ETIMEDOUT
    except ValueError:  # it ended without a word
        number = errno.EIO
    if number:
        raise OSError(number, os.strerror(number), str(path))
