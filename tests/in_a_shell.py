"""``nectar`` as a shell has it in a test: forked as in ``forked.py``, which says why.

It is ``python -I -S in_a_shell.py DESCRIPTOR ARGUMENT…`` and imports next to nothing: a command is typed a hundred times. It is not that
command's process: what is to get signals must be started.
"""

from __future__ import annotations

import marshal
import os
import socket
import sys

descriptor, *arguments = sys.argv[1:]
os.umask(mask := os.umask(0))
order = marshal.dumps([arguments, dict(os.environ), os.getcwd(), mask])
status, writing = os.pipe()
with socket.socket(fileno=int(descriptor)) as forks:
    # In one call, because what stands on the other side of a pipe does it at the same time.
    socket.send_fds(forks, [len(order).to_bytes(4, "big"), order], [0, 1, 2, writing])
os.close(writing)
os.read(status, 4)  # its PID
sys.exit(int(os.read(status, 16)) % 256)
