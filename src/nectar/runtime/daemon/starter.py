"""Who started a daemon, and talks with it until it serves: orders come on descriptor 0, replies go to descriptor 1.

What is said is in :mod:`nectar.protocol`.
"""

from __future__ import annotations

import os

from nectar.protocol import decode, encode
from nectar.runtime.daemon.loop import READ

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from nectar.runtime.daemon.loop import Loop


class Starter:
    """:param ordered: called with what each further line says to do; one that says nothing is a fault of the loop's.
    :param gone: called when there is nobody any more.
    """

    def __init__(
        self, loop: Loop, ordered: Callable[[str], None], gone: Callable[[], None], orders: int = 0, replies: int = 1
    ) -> None:
        self._loop = loop
        self._ordered = ordered
        self._gone = gone
        self._orders = orders
        self._replies = replies
        self._rest = b""
        os.set_blocking(orders, False)
        loop.watch(orders, READ, self._read)

    def say(self, message: dict[str, Any]) -> None:
        """Reply; where nobody is there to hear it, which the end of the orders tells too, not at all."""
        try:
            os.write(self._replies, encode(message))
        except OSError:
            pass

    def let_go(self) -> None:
        """Hear and say nothing any more, and leave the streams to whoever else has them."""
        self._loop.forget(self._orders)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (self._orders, self._replies, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)

    def _read(self, _events: int) -> None:
        try:
            piece = os.read(self._orders, 65536)
        except BlockingIOError:
            return
        if not piece:
            self._loop.forget(self._orders)
            self._gone()
            return
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._ordered(decode(line)["do"])
