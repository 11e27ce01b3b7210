import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from nectar.testing import ask, computation
from sentiment import sentiment_analysis


class Service(BaseHTTPRequestHandler):
    """Scores a text by the exclamation marks in it; knows nothing of an empty one."""

    def do_GET(self) -> None:
        text = parse_qs(urlsplit(self.path).query).get("text", [""])[0]
        self.send_response(200 if text else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"score": text.count("!")}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("SENTIMENT_URL", f"http://127.0.0.1:{server.server_port}/sentiment")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_score_is_the_services() -> None:
    assert ask(sentiment_analysis, computation(query="Hooray! & hooray!")) == 2


def test_an_error_of_the_service_is_an_error() -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        ask(sentiment_analysis, computation(query=""))
