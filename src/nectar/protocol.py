"""How the command line and a daemon talk: what a daemon is told at its start, and requests over its control socket.

Both are lines of JSON, bounded, with a version. At the start the lines go through the daemon's standard input and output:

=====================  ===========================  =======================================================================
the command writes     the daemon answers           meaning
=====================  ===========================  =======================================================================
an :class:`Assignment` ``{"state": "loaded"}``      a worker has loaded the handler; nothing on disk has been touched
``{"do": "take"}``     ``{"state": "taken"}``       it holds the name's lock and its socket; the command writes the record
``{"do": "serve"}``    ``{"state": "serving", …}``  it claims questions; from here on it needs nobody
=====================  ===========================  =======================================================================

Instead of any of those it may answer ``{"state": "failed", "kind", "message", "hint", "detail"}`` and end. It also ends, with
nothing left behind, when its standard input closes before ``serve``.

After that a request on the socket is one line, ``{"schema": 1, "do": …}``, and so is its reply,
``{"schema": 1, "ok": true, …}`` or ``{"schema": 1, "ok": false, "message": …}``:

``status``
    what ``view`` shows: ``pid``, ``started``, ``state``, ``aliases``, ``workers``, ``counts``, ``queue``, ``last_error``, ``warnings``,
    ``watching``. Since 0.1.0 also ``errors`` (``since``, Unix seconds, and how many ``answers`` were no success; null where there were
    others among them), ``silent`` (seconds, or null), ``last_failed`` (``time``, ``alias``, ``comp_id``, ``status``), ``last_answered``,
    ``deaths`` (Unix seconds), ``latency`` (seconds by quantile) and ``hour`` (answers in each of 60 minutes), and of each worker its
    ``memory``, ``cpu`` and ``runs``; of each alias ``oldest`` (seconds); ``deaths_in_all``; and since this daemon's start
    ``workers_started`` and ``answers``: ``within``, pairs of a bound in seconds and how many answers took no longer than it and longer
    than the one before (the last: or longer than all), and ``seconds``, how long all of them took together.
``history``
    since 0.1.0: the answers of the last six hours by the minute. ``minutes`` is a list of ``[Unix minutes, successes, errors, timeouts,
    the most that waited, [[index into "bounds", answers], …]]``, at most 360 of them; ``bounds`` are seconds, as of ``within``.
``sync``
    read ``handlers.json`` again and attach and detach until it is so. ``attached`` is the list of aliases that are being served,
    ``problems`` says of each other one that should be why it is not.
``stop``
    claim nothing more, let what runs finish within ``timeout`` seconds, and end; the reply comes at once.
"""

from __future__ import annotations

import json
import socket

from nectar import address
from nectar.errors import UnresponsiveError
from nectar.frozen import NamedTuple

TYPE_CHECKING = False  # typing is not imported in a daemon
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any, Self

SCHEMA = 1
MAX_LINE = 1024 * 1024
"""Bytes of one request or reply, its newline included."""


class EntryPoint(NamedTuple):
    """An entry point, in whatever group; the value is ``module:attribute`` or ``module``."""

    name: str
    value: str


class Loading(NamedTuple):
    """All that a worker needs to load a handler.

    :ivar python: the environment's interpreter.
    :ivar entry: what to load.
    :ivar plugins: the entry points of the group ``nectar.plugins`` in that environment.
    :ivar directory: the handler's source directory, in which the worker runs.
    :ivar snapshot: of a single file: the manifest of the modules that were taken along, else None.
    :ivar variables: the whole environment of the worker's process.
    :ivar engine: what :func:`nectar.manage.daemon.engine.describe` says of what runs its calls, or parts of them.
    :ivar wall: what the worker runs behind, or None: ``program`` (bubblewrap), ``files`` (path to text, of files that are made in there),
        ``arguments`` (all others that come before the worker's command), ``filter`` (of system calls, in hexadecimal digits),
        ``processes`` (how many there may be inside, threads counted) and ``tmpfs`` (where files lie in memory).
    """

    python: str
    entry: EntryPoint
    directory: str
    plugins: Sequence[EntryPoint] = ()
    snapshot: str | None = None
    variables: Mapping[str, str] = {}
    engine: Mapping[str, Any] = {}
    wall: Mapping[str, Any] | None = None


class Assignment(NamedTuple):
    """All that a daemon is told at its start.

    :ivar name: the handler's.
    :ivar data_dir: absolute.
    :ivar settings: what :meth:`nectar.settings.Settings.from_mapping` reads.
    """

    name: str
    data_dir: str
    loading: Loading
    settings: Mapping[str, Any] = {}

    def to_mapping(self) -> dict[str, Any]:
        """The fields by name. In ``loading``, ``entry`` is the entry point's value and ``handler`` its name, and ``plugins`` are pairs."""
        entry = {"entry": self.loading.entry.value, "handler": self.loading.entry.name}
        return {**self._asdict(), "loading": {**self.loading._asdict(), **entry}}

    @classmethod
    def from_mapping(cls, fields: dict[str, Any]) -> Assignment:
        """:raises KeyError, TypeError: the fields are not those of an assignment of this version."""
        loading = dict(fields["loading"])
        loading["entry"] = EntryPoint(loading.pop("handler"), loading["entry"])
        loading["plugins"] = tuple(EntryPoint(name, value) for name, value in loading["plugins"])
        return cls(name=fields["name"], data_dir=fields["data_dir"], loading=Loading(**loading), settings=fields["settings"])


class NewerMessageError(ValueError):
    """It is a message of a newer nectar."""


def encode(message: dict[str, Any]) -> bytes:
    """One line."""
    return json.dumps({"schema": SCHEMA, **message}).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message in one line.

    :raises NewerMessageError: it is one of a newer nectar.
    :raises ValueError: it is none, or of another schema.
    """
    message = json.loads(line.decode())
    if not isinstance(message, dict) or type(message.get("schema")) is not int or message["schema"] < SCHEMA:
        raise ValueError("it is not a message of this version")
    if message["schema"] > SCHEMA:
        raise NewerMessageError("a newer nectar wrote it; nectar restart has the handler run by that one, too")
    return message


def ask(path: Path, request: dict[str, Any], *, timeout: float) -> dict[str, Any]:
    """Send a request to the daemon at a control socket and return its reply.

    :param timeout: seconds for all of it.
    :raises UnresponsiveError: nobody is there, or does not answer in time, or answers nonsense, or as only a newer nectar
        understands; the reply's own ``message`` when it is not ``ok``.
    """
    with Asked(path, request, timeout=timeout) as asked:
        return asked.reply()


class Asked:
    """A request on its way: others can be sent to other daemons before its reply is waited for. Use it in a ``with`` block.

    :param timeout: seconds for all of it, the reply included.
    """

    def __init__(self, path: Path, request: dict[str, Any], *, timeout: float) -> None:
        import time

        self._path = path
        self._end = time.monotonic() + timeout
        self._client: socket.socket | None = None
        self._lost: OSError | None = None
        try:
            self._client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._client.settimeout(timeout)
            _connect(self._client, path, self._end)
            self._client.sendall(encode(request))
        except OSError as error:
            self._lost = error

    def reply(self) -> dict[str, Any]:
        """:raises UnresponsiveError: as of :func:`ask`."""
        try:
            reply = decode(self._receive())
        except NewerMessageError:
            raise UnresponsiveError(
                "The daemon was started by a newer nectar than this one, and answers in its language.",
                where=str(self._path),
                hint="Update nectar, or use the version that started it.",
            ) from None
        except (OSError, ValueError) as error:
            raise UnresponsiveError(
                f"The daemon does not answer ({error or type(error).__name__}).", where=str(self._path)
            ) from None
        if reply.get("ok") is not True:
            raise UnresponsiveError(str(reply.get("message", "The daemon refuses.")), where=str(self._path))
        return reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def _receive(self) -> bytes:
        import time

        if self._lost is not None:
            raise self._lost
        assert self._client is not None, "it was opened, or else that is what was lost"
        received = b""
        while not received.endswith(b"\n"):
            self._client.settimeout(max(0.001, self._end - time.monotonic()))
            piece = self._client.recv(65536)
            if not piece or len(received) > MAX_LINE:
                break
            received += piece
        return received


def _connect(client: socket.socket, path: Path, end: float) -> None:
    """Connect, and wait for room where others fill the queue: of a Unix socket, the system says so at once."""
    import time

    while True:
        try:
            address.connect(client, path)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)
        else:
            return
