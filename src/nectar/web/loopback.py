"""What is served on this machine, and for nobody outside it: the only module that imports waitress."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

from nectar.errors import ConflictError, NectarError, UsageError
from nectar.web.guard import guard

if TYPE_CHECKING:
    from typing import NoReturn

    from nectar.web.guard import Application

LOCALHOST = "localhost"
CONNECTIONS = 100
WAKING = 0.5
"""Seconds between two looks at whether a signal came: one that comes just before a wait without an end might be noticed never."""
SILENCE = 30
"""Seconds after which a connection on which nothing is said is closed."""


class Place:
    """An address that is listened at.

    :param host: an address of this machine's loopback.
    :param port: 0 takes one that is free.
    :ivar hosts: what a browser calls it that was told of this place: it stands in each request.
    :raises UsageError: the address is not on loopback.
    :raises ConflictError: the port is taken.
    :raises NectarError: the system refuses it.
    """

    def __init__(self, host: str, port: int) -> None:
        address = _require_loopback(host)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((str(address), port))
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            if error.errno == errno.EADDRINUSE:
                raise ConflictError(
                    f"Port {port} is taken.", where=str(address), hint="Give another, or 0 for one that is free."
                ) from None
            raise NectarError(f"It cannot be listened there: {error.strerror}.", where=f"{address}, port {port}") from None
        port = self._socket.getsockname()[1]
        named = str(address) if address.version == 4 else f"[{address}]"
        self.address = f"http://{named}:{port}"
        self.hosts = frozenset({f"{named}:{port}", f"{LOCALHOST}:{port}"} | ({named, LOCALHOST} if port == 80 else set()))

    def serve(self, application: Application) -> NoReturn:
        """Answer who asks, until something ends this process, such as Ctrl-C."""
        from waitress.server import create_server

        logging.getLogger("waitress").setLevel(logging.ERROR)
        server = create_server(
            guard(application, self.hosts),
            sockets=[self._socket],
            ident=None,
            connection_limit=CONNECTIONS,
            channel_timeout=SILENCE,
            max_request_header_size=1 << 14,
            max_request_body_size=1,
            asyncore_use_poll=True,
        )
        # In a thread, because in the main one it takes an interrupt for an end in order.
        threading.Thread(target=server.run, daemon=True).start()
        while True:
            time.sleep(WAKING)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, or of a port alone.

    :raises UsageError: it is neither.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{text!r} is no address.", hint="As in 127.0.0.1:9464, or a port alone.")
    return host, int(port)


def _require_loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == LOCALHOST else host)
    except ValueError:
        raise UsageError(f"{host!r} is no address of this machine.", hint="As in 127.0.0.1 or ::1.") from None
    if not address.is_loopback:
        raise UsageError(
            f"{host} is not on loopback: whoever reaches this machine could read the names of its handlers, and how they do.",
            hint="Use 127.0.0.1, and before it a proxy that asks who somebody is, where others are to read it.",
        )
    return address
