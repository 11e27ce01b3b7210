"""Where an engine's scheduler is, and what answers there."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from nectar.errors import NectarError, NotFoundError, UnresponsiveError, UsageError
from nectar.manage.engine import schedulers
from nectar.manage.engine.schedulers import Address, Certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DASK = (30).to_bytes(8, "little") + b"what it speaks"


@pytest.mark.parametrize(
    ("text", "secret", "found"),
    [
        ("tcp://scheduler.example:8786", False, "tcp://scheduler.example:8786"),
        ("scheduler", False, "tcp://scheduler:8786"),
        ("10.0.0.7:99", True, "tls://10.0.0.7:99"),
        ("tls://[fe80::1%eth0]:1/", True, "tls://[fe80::1%eth0]:1"),
        ("tls://10.0.0.7", False, "needs certificates"),
        ("tcp://10.0.0.7", True, "without TLS"),
        ("http://10.0.0.7:8787", False, "not by http://"),
        *((text, False, "no address") for text in ("", "tcp://", "a b", "host:0", "host:65536", "host:x", "user@host", "fe80::1")),
    ],
)
def test_an_address_is_one_of_a_scheduler(text: str, secret: bool, found: str) -> None:
    try:
        shown = str(schedulers.parse(text, secret=secret))
    except UsageError as error:
        shown = error.message
    assert found in shown


@pytest.mark.parametrize(
    ("address", "host", "private"),
    [
        ("tcp://127.0.0.1", "127.0.0.1", True),
        ("tcp://[::1]", "::1", True),
        ("tcp://localhost", "127.8.0.1", True),
        ("tcp://127.0.0.1", "10.0.0.7", False),
        ("tcp://10.0.0.7", "10.0.0.7", False),
        ("tcp://localhost.example", "127.0.0.1", False),
        ("tcp://127.0.0.1", "$POD_IP", False),
        ("tls://10.0.0.7", "10.0.0.7", True),
    ],
)
def test_what_leaves_the_machine_is_private(address: str, host: str, private: bool) -> None:
    parsed = schedulers.parse(address, secret=address.startswith("tls"))
    if private:
        schedulers.require_privacy(parsed, host)
    else:
        with pytest.raises(UsageError, match="Questions are private"):
            schedulers.require_privacy(parsed, host)


def test_a_host_is_on_the_way_to_the_scheduler_and_of_this_machine() -> None:
    host = schedulers.choose_host(Address("tcp", "127.0.0.1", 8786))
    assert host == "127.0.0.1"
    schedulers.require_own(host)
    with pytest.raises(NotFoundError, match="no address"):
        schedulers.require_own("198.51.100.213")  # nobody's: RFC 5737
    with pytest.raises(schedulers.NobodyError):
        schedulers.choose_host(Address("tcp", "nowhere.invalid", 8786))


@contextmanager
def somebody(*, first: bytes = b"", reply: bytes = b"", own: Certificates | None = None) -> Iterator[Address]:
    """:param first: what is said to who comes.
    :param reply: what is said to who says something.
    :param own: with which TLS is spoken, and wanted.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=own.authority) if own else None
    if own and context:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(own.certificate, own.key)

    def answer(came: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(came, server_side=True) if context else came as stream:
            stream.sendall(first)
            if reply and stream.recv(1024):
                stream.sendall(reply)

    def serve() -> None:
        while True:
            try:
                came = listening.accept()[0]
            except OSError:
                return
            with came:
                answer(came)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address("tcp", *listening.getsockname())
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("first", "reply", "said"),
    [
        (DASK, b"", None),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"", "is no scheduler"),
        (b"", b"HTTP/1.1 400 Bad Request\r\n", "a web server"),
        (b"", b"\x15\x03\x01\x00\x02\x02\x46", "takes TLS only"),
        (b"", b"", "says nothing"),
    ],
)
def test_who_is_there_is_told(monkeypatch: pytest.MonkeyPatch, first: bytes, reply: bytes, said: str | None) -> None:
    monkeypatch.setattr(schedulers, "PATIENCE", 0.3 if reply else schedulers.PATIENCE)
    with somebody(first=first, reply=reply) as address:
        if said is None:
            schedulers.require_scheduler(address, None)
        else:
            with pytest.raises(UnresponsiveError, match=said):
                schedulers.require_scheduler(address, None)


def test_nobody_is_somebody_who_may_come() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = Address("tcp", *listening.getsockname())
    with pytest.raises(schedulers.NobodyError, match="Nobody answers at tcp:"):
        schedulers.require_scheduler(address, None)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Certificates]:
    """Two authorities, each of which has signed itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates with")
    made = []
    for name in ("ours", "theirs"):
        place = tmp_path_factory.mktemp(name)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"]
        command = ["openssl", "req", "-x509", *key, "-out", "cert.pem", "-days", "2", "-subj", f"/CN={name}"]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
        made.append(Certificates(place / "cert.pem", place / "cert.pem", place / "key.pem"))
    return made


def test_with_tls_each_side_is_known_to_the_other(pair: list[Certificates], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pair
    with somebody(first=DASK, own=ours) as address:
        secret = address._replace(scheme="tls")
        schedulers.require_scheduler(secret, ours)
        for stranger, said in (
            (theirs, "certificate verify failed"),
            (Certificates(ours.authority, theirs.certificate, theirs.key), "unknown ca"),
        ):
            with pytest.raises(UnresponsiveError, match=f"There is no TLS with tls://.*: .*{said}"):
                schedulers.require_scheduler(secret, stranger)
        with pytest.raises(UsageError, match="key values mismatch"):
            schedulers.require_scheduler(secret, Certificates(ours.authority, ours.certificate, theirs.key))
    with somebody(first=DASK) as address, pytest.raises(UnresponsiveError, match="one without TLS"):
        schedulers.require_scheduler(address._replace(scheme="tls"), ours)
    monkeypatch.setattr(schedulers, "PATIENCE", 1.0)
    with somebody(first=DASK, own=ours) as address, pytest.raises(UnresponsiveError, match="takes TLS only"):
        schedulers.require_scheduler(address, None)


def test_certificates_that_are_none_are_told(tmp_path: Path) -> None:
    address = Address("tls", "127.0.0.1", 1)
    with pytest.raises(NotFoundError) as gone:
        schedulers.require_scheduler(address, Certificates(*[tmp_path / "ca.pem"] * 3))
    assert gone.value.where == str(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(NectarError, match="cannot be used"):
        schedulers.require_scheduler(address, Certificates(*[tmp_path / "ca.pem"] * 3))
