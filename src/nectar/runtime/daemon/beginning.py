"""How a daemon begins: its first worker is started, and all else that the daemon is made of is imported while that one comes in.

Each of the two takes some 20 ms of a processor, and mostly there is more than one. So nothing is imported here that it can begin without.
"""

from __future__ import annotations

import os

from nectar import inherited, processes
from nectar.protocol import MAX_LINE, Assignment, decode
from nectar.runtime.daemon.workers.kernel import System

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "start.py")


def main() -> None:
    """Run a daemon for who is at descriptors 0 and 1, and end the process."""
    os.umask(0o077)
    inherited.settle_signals()
    assignment = read_assignment()
    if assignment is None:
        return
    mark = processes.daemon_mark(processes.handler_mark(assignment.data_dir, assignment.name))
    kernel = System()
    kernel.start_ahead(assignment.loading, SCRIPT, mark)
    from nectar.runtime.daemon.daemon import run

    run(assignment, kernel, SCRIPT, mark)


def read_assignment(orders: int = 0) -> Assignment | None:
    """Wait for the first line; None where there is none, or no end of it.

    :raises ValueError: it is no message.
    :raises KeyError, TypeError: it is no assignment.
    """
    received = b""
    while not received.endswith(b"\n"):
        piece = os.read(orders, 65536)
        if not piece or len(received) > MAX_LINE:
            return None
        received += piece
    return Assignment.from_mapping(decode(received))
