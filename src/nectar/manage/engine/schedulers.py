"""Where an engine's scheduler is, whether somebody else could listen on the way there, and what answers at the address."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

from nectar.errors import NotFoundError, UnresponsiveError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

PORT = 8786
"""A Dask scheduler's, where nobody says another one."""
PATIENCE = 5.0
"""Seconds for what is at an address to say who it is."""
_FORM = r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s/:\[\]@]+))(?::(?P<port>[0-9]{1,5}))?/?"


class Certificates(NamedTuple):
    """Files in PEM format, absolute: that of the authority which signed all of an engine's, and one's own."""

    authority: Path
    certificate: Path
    key: Path


class Address(NamedTuple):
    """:ivar scheme: ``"tcp"`` or ``"tls"``.
    :ivar host: a name or an IP address, without brackets.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class NobodyError(UnresponsiveError):
    """Nobody answers at an address now; somebody may later."""


def parse(text: str, *, secret: bool) -> Address:
    """The address of a scheduler, as a person wrote it.

    :param secret: whether there are certificates.
    :raises UsageError: it is none, or says otherwise than that.
    """
    found = re.fullmatch(_FORM, text, re.ASCII)
    if found is None or not 0 < int(found["port"] or PORT) < 1 << 16:
        raise UsageError(f"{text!r} is no address of a Dask scheduler.", hint=f"As in tcp://scheduler.example:{PORT}")
    scheme = found["scheme"] or ("tls" if secret else "tcp")
    address = Address(scheme, found["v6"] or found["host"], int(found["port"] or PORT))
    if scheme not in ("tcp", "tls"):
        raise UsageError(f"A scheduler is reached by tcp:// or tls://, and not by {scheme}://.", where=text)
    if scheme == "tls" and not secret:
        raise UsageError(
            f"{address} needs certificates.", hint="--tls CA CERT KEY, the files with which the scheduler was started."
        )
    if scheme == "tcp" and secret:
        raise UsageError(
            f"{address} is without TLS, and there are certificates.", hint=f"--connect {address._replace(scheme='tls')}"
        )
    return address


def require_privacy(address: Address, host: str) -> None:
    """:param host: of this side.
    :raises UsageError: what goes between two machines could be read, and nobody has allowed that.
    """
    if address.scheme == "tcp" and not (is_loopback(address.host) and is_loopback(host)):
        raise UsageError(
            f"Questions are private, and all that goes to {address} and from there can be read, and answered, by who is on the way.",
            hint="--tls CA CERT KEY; or --insecure, where nobody else is in that network.",
        )


def is_loopback(host: str) -> bool:
    """Whether an address is that of this machine alone; a name that may be another's is none."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def choose_host(address: Address) -> str:
    """The address that this machine has on the way to a scheduler.

    :raises NobodyError: there is no way.
    """
    try:
        family, kind, number, _, there = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, number) as asked:
            asked.connect(there)  # of a datagram's socket: nothing is sent
            return str(asked.getsockname()[0])
    except OSError as error:
        raise _nobody(address, error) from error


def require_own(host: str) -> None:
    """:raises NotFoundError: this machine has no such address."""
    try:
        family, kind, number, _, here = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as tried:
            tried.bind(here)
    except OSError as error:
        raise NotFoundError(
            f"This machine has no address {host!r}: {error.strerror}.", hint="ip -brief address lists them."
        ) from None


def require_scheduler(address: Address, certificates: Certificates | None) -> None:
    """See to it that a scheduler answers. It speaks first, as all of Dask's servers do.

    :raises NobodyError: nobody does, now.
    :raises UnresponsiveError: somebody does, who is none, or not in this way.
    :raises UsageError: a certificate cannot be used.
    """
    context = None if certificates is None else _make_context(certificates)
    try:
        said = _listen(address, context)
    except OSError as error:  # TLS's are some
        _refuse_other(address, b"" if context is None or _is_of_tls(error) else _try_plain(address))
        if not isinstance(error, ssl.SSLError):
            raise _nobody(address, error) from error
        raise UnresponsiveError(
            f"There is no TLS with {address}: {_tell(error)}.",
            hint="The certificates here and there must be signed by the authority that both are given.",
        ) from None
    if not _is_dask(said):
        _refuse_other(address, said)
        raise NobodyError(f"What is at {address} says nothing.")


def _refuse_other(address: Address, said: bytes) -> None:
    """:param said: what came where a scheduler was expected, without TLS; nothing may have.
    :raises UnresponsiveError: it says who is there.
    """
    if said.startswith(b"HTTP/"):
        what, hint = "There is a web server at {}, and no scheduler.", f"A scheduler's dashboard has another port than it: {PORT}."
    elif _is_dask(said):
        what, hint = "The scheduler at {} is one without TLS.", "It is started with --tls-ca-file, --tls-cert and --tls-key."
    elif said.startswith(_ALERT) or (not said and address.scheme == "tcp" and _has_tls(address)):
        what, hint = "What is at {} takes TLS only.", "--tls CA CERT KEY, and tls:// in the address."
    elif said:
        what, hint = "What is at {} is no scheduler.", None
    else:
        return
    raise UnresponsiveError(what.format(address), hint=hint)


def _listen(address: Address, context: ssl.SSLContext | None) -> bytes:
    """What is said first; where nothing is, what is said to a web browser."""
    with socket.create_connection((address.host, address.port), timeout=PATIENCE) as plain:
        stream = plain if context is None else context.wrap_socket(plain, server_hostname=address.host)
        with stream:
            try:
                return stream.recv(_ENOUGH)
            except TimeoutError:
                stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return stream.recv(_ENOUGH)


def _try_plain(address: Address) -> bytes:
    try:
        return _listen(address, None)
    except OSError:
        return b""


def _has_tls(address: Address) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((address.host, address.port), timeout=PATIENCE) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


def _is_dask(said: bytes) -> bool:
    """Whether it is how a message of Dask's begins: the length of what follows, in 8 bytes."""
    return len(said) > 8 and 0 < int.from_bytes(said[:8], "little") < 1 << 16


def _is_of_tls(error: OSError) -> bool:
    """Whether it shows that the other side speaks TLS."""
    return isinstance(error, ssl.SSLCertVerificationError) or (isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""))


def _make_context(certificates: Certificates) -> ssl.SSLContext:
    """As Dask makes one: each side has a certificate of the same authority, whatever the machines are called."""
    try:
        context = ssl.create_default_context(cafile=certificates.authority)
        context.check_hostname = False
        context.load_cert_chain(certificates.certificate, certificates.key)
    except FileNotFoundError:
        gone = next(file for file in certificates if not file.exists())
        raise NotFoundError("There is no such file.", where=str(gone)) from None
    except OSError as error:  # ssl's are some
        raise UsageError(f"These certificates cannot be used: {_tell(error)}.", where=", ".join(map(str, certificates))) from None
    return context


def _nobody(address: Address, error: OSError) -> NobodyError:
    return NobodyError(f"Nobody answers at {address}: {_tell(error)}.")


def _tell(error: OSError) -> str:
    """Why, without where in somebody's code."""
    reason = getattr(error, "reason", None)  # of TLS
    return reason.replace("_", " ").lower() if reason else error.strerror or str(error)


_ENOUGH = 64
_ALERT = b"\x15\x03"
"""How TLS answers what is none."""
