"""The control socket's request and reply."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nectar import address
from nectar.errors import UnresponsiveError
from nectar.protocol import MAX_LINE, Assignment, EntryPoint, Loading, NewerMessageError, ask, decode, encode


@contextmanager
def daemon(path: Path, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """Somebody at a socket who answers one request, whatever it takes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        address.bind(server, path)
        server.listen()
        server.settimeout(60)

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.settimeout(60)
                request = b""
                while not request.endswith(b"\n"):
                    request += client.recv(65536)
                try:
                    client.sendall(answer(request))
                except (BrokenPipeError, ConnectionResetError):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(60)
            assert not thread.is_alive()


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8")).filter(lambda key: key != "schema"), st.text() | st.integers() | st.none()
    )
)
def test_a_message_is_one_line_and_is_read_back(message: dict[str, Any]) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == {"schema": 1, **message}


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"schema": 2}', b"nonsense\n", b"\xff\n"])
def test_what_is_no_message_of_this_version(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode(line)


@pytest.mark.parametrize("line", [b'{"schema": 2}', b'{"schema": 900, "ok": true}'])
def test_a_message_of_a_newer_nectar_says_so(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(NewerMessageError, match="a newer nectar wrote it; nectar restart"):
        decode(line)
    path = tmp_path / "n.sock"
    with daemon(path, lambda _: line + b"\n"), pytest.raises(UnresponsiveError, match="started by a newer nectar") as raised:
        ask(path, {"do": "status"}, timeout=60)
    assert raised.value.hint == "Update nectar, or use the version that started it."


@pytest.mark.parametrize("schema", [b"0", b"-1", b"1.0", b"2.5", b"true", b'"2"', b"null", b"[2]"])
def test_what_is_no_schema_is_nobodys_message(schema: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of this version") as raised:
        decode(b'{"schema": %b}' % schema)
    assert not isinstance(raised.value, NewerMessageError)


def test_an_assignment_is_read_back_from_json() -> None:
    assignment = Assignment(
        name="n",
        data_dir="/d",
        loading=Loading(
            python="/p", entry=EntryPoint("h", "m:f"), directory="/s", plugins=(EntryPoint("a", "b:c"),), variables={"PATH": "/bin"}
        ),
        settings={"workers": 2},
    )
    assert json.loads(json.dumps(assignment.to_mapping())) == {
        "name": "n",
        "data_dir": "/d",
        "loading": {
            "python": "/p",
            "entry": "m:f",
            "handler": "h",
            "directory": "/s",
            "plugins": [["a", "b:c"]],
            "snapshot": None,
            "variables": {"PATH": "/bin"},
            "engine": {},
            "wall": None,
        },
        "settings": {"workers": 2},
    }
    assert Assignment.from_mapping(json.loads(json.dumps(assignment.to_mapping()))) == assignment


def test_a_question_and_its_reply(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return encode({"ok": True, "pid": 7})

    path = tmp_path / "n.sock"
    with daemon(path, answer):
        assert ask(path, {"do": "status"}, timeout=60)["pid"] == 7
    assert decode(asked[0]) == {"schema": 1, "do": "status"}


def test_a_reply_of_many_pieces(tmp_path: Path) -> None:
    path = tmp_path / "n.sock"
    with daemon(path, lambda _: encode({"ok": True, "text": "x" * 500_000})):
        assert len(ask(path, {"do": "status"}, timeout=60)["text"]) == 500_000


def test_a_refusal_is_the_daemons_own_words(tmp_path: Path) -> None:
    path = tmp_path / "n.sock"
    with daemon(path, lambda _: encode({"ok": False, "message": "No."})), pytest.raises(UnresponsiveError, match=r"^No\.$"):
        ask(path, {"do": "dance"}, timeout=60)


@pytest.mark.parametrize(
    "reply", [b"", b"\n", b"nonsense\n", b'{"ok": true}\n', b'{"schema": 1, "ok": true', b"x" * (MAX_LINE + 100_000)]
)
def test_nonsense_is_no_reply(tmp_path: Path, reply: bytes) -> None:
    path = tmp_path / "n.sock"
    with daemon(path, lambda _: reply), pytest.raises(UnresponsiveError) as raised:
        ask(path, {"do": "status"}, timeout=60)
    assert raised.value.where == str(path)


def test_nobody_there(tmp_path: Path) -> None:
    path = tmp_path / "n.sock"
    with pytest.raises(UnresponsiveError):
        ask(path, {"do": "status"}, timeout=60)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(UnresponsiveError):
        ask(path, {"do": "status"}, timeout=60)


def test_somebody_who_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "n.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(UnresponsiveError, match="does not answer"):
            ask(path, {"do": "status"}, timeout=0.2)
