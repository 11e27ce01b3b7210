"""The control socket: one request and one reply a connection, bounded in size, number and time."""

from __future__ import annotations

import os
import socket

from nectar import address, features
from nectar.protocol import MAX_LINE, decode, encode
from nectar.runtime.daemon.loop import READ, WRITE

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from nectar.runtime.daemon.loop import Loop

    Reply = Callable[[dict[str, Any]], None]

MAX_CLIENTS = 64
QUEUE = 512
"""Clients that wait to be accepted."""
SILENCE = 5.0
"""Seconds in which a client must have sent its line, and in which it must have read its reply."""


class Control:
    """:param handle: called with a request and with what to call with its reply, at once or later."""

    def __init__(self, loop: Loop, path: Path, handle: Callable[[dict[str, Any], Reply], None]) -> None:
        self._loop = loop
        self._path = path
        self._handle = handle
        self._clients: dict[_Client, None] = {}
        self._listening, self._bound = _listen_at(path)
        self._listen()

    def keep(self) -> bool:
        """Where somebody removed, moved or replaced the socket, make it anew; the name's lock must be ours.

        :returns: whether that was so.
        :raises OSError: it cannot be made.
        """
        if _at(self._path) == self._bound:
            return False
        anew, bound = _listen_at(self._path)
        self._unlisten()
        self._listening, self._bound = anew, bound
        self._listen()
        return True

    def close(self) -> None:
        """Let go of the socket and of all clients: who still waits for a reply sees that there will be none."""
        self._unlisten()
        for client in list(self._clients):
            client.close()
        if _at(self._path) == self._bound:  # and not the one of a daemon that has the name by now
            try:
                self._path.unlink(missing_ok=True)
            except OSError:  # the next daemon removes it
                pass

    def _unlisten(self) -> None:
        self._loop.forget(self._listening.fileno())
        self._listening.close()

    def _listen(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.watch(self._listening.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            client, _ = self._listening.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptor left: who waits would be told of again and again
            self._loop.forget(self._listening.fileno())
            self._loop.later(SILENCE / 10, self._listen)
            return
        if not _same_user(client):
            client.close()
            return
        if len(self._clients) >= MAX_CLIENTS:
            # Who says nothing for longest, or is gone, makes room for somebody who may say something.
            silent = next((client for client in self._clients if client.silent), None)
            if silent is None:
                client.close()
                return
            silent.close()
        self._clients[_Client(self._loop, client, self._handle, self._left)] = None

    def _left(self, client: _Client) -> None:
        self._clients.pop(client, None)


class _Client:
    def __init__(
        self, loop: Loop, client: socket.socket, handle: Callable[[dict[str, Any], Reply], None], left: Callable[[_Client], None]
    ) -> None:
        client.setblocking(False)
        self._loop = loop.within(self.close)
        self._socket = client
        self._handle = handle
        self._left = left
        self.silent = True
        self._received = b""
        self._unsent = b""
        self._timer = self._loop.later(SILENCE, self.close)
        self._loop.watch(client.fileno(), READ, self._read)

    def _read(self, _events: int) -> None:
        try:
            piece = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._received += piece
        if not piece or len(self._received) > MAX_LINE:
            self.close()
        elif self._received.endswith(b"\n"):
            self.silent = False
            self._timer.cancel()
            self._loop.watch(self._socket.fileno(), READ, self._read_on)
            try:
                self._handle(decode(self._received), self._reply)
            except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
                self._reply({"ok": False, "message": f"The request cannot be understood ({error})."})

    def _read_on(self, _events: int) -> None:
        """It waits for its reply: what it says meanwhile counts for nothing, and it may have hung up, or have closed its own way."""
        self._loop.forget(self._socket.fileno())
        try:
            self.silent = not self._socket.recv(1)
        except OSError:
            self.silent = True

    def _reply(self, message: dict[str, Any]) -> None:
        if self._socket.fileno() < 0:
            return
        self._unsent = encode(message)
        self._timer.cancel()
        self._timer = self._loop.later(SILENCE, self.close)
        self._write(0)

    def _write(self, _events: int) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            self.silent = True  # it does not listen
        except OSError:
            self._unsent = b""
        if self._unsent:
            self._loop.watch(self._socket.fileno(), WRITE, self._write)
        else:
            self.close()

    def close(self) -> None:
        self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._left(self)


def _listen_at(path: Path) -> tuple[socket.socket, tuple[int, int] | None]:
    """A socket that listens, and what it is on disk. The name's lock is ours, so that what lies there is a dead daemon's."""
    aside = address.aside(path)
    aside.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            address.bind(listening, aside)
        finally:
            os.umask(before)
        listening.listen(QUEUE)
        listening.setblocking(False)
        bound = _at(aside)
        aside.replace(path)
    except BaseException:
        listening.close()
        aside.unlink(missing_ok=True)
        raise
    return listening, bound


def _at(path: Path) -> tuple[int, int] | None:
    """What lies at a path: device and inode; None where there is nothing, or where the system does not tell."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _same_user(client: socket.socket) -> bool:
    """Whether the other side runs as this user, or as root; where the system does not tell, the socket's mode is all there is."""
    return features.peer_user(client) in (None, 0, os.geteuid())
