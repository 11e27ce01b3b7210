import threading
import traceback
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from service import Service

from nectar.testing import ask, computation
from web_api import ServiceError, sentiment_analysis


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(Service, "tries", 0)
        monkeypatch.setenv("SENTIMENT_URL", f"http://127.0.0.1:{server.server_port}/sentiment")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield
        server.shutdown()
        thread.join()


def test_the_score_is_the_services() -> None:
    assert ask(sentiment_analysis, computation(query="Hooray! & hooray!")) == 2


def test_a_service_that_is_busy_is_asked_again() -> None:
    assert ask(sentiment_analysis, computation(query="busy!")) == 1
    assert Service.tries == 3


def test_an_error_of_the_service_is_told() -> None:
    with pytest.raises(ServiceError, match="the sentiment service answered 422 Unprocessable Entity"):
        ask(sentiment_analysis, computation(query=""))


def test_nothing_that_is_told_has_the_question_in_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SENTIMENT_URL", "http://127.0.0.1:9/")  # nobody listens there
    question = computation(query="secret")
    with pytest.raises(ServiceError, match="cannot be reached") as raised:
        ask(sentiment_analysis, question)
    assert "secret" not in "".join(traceback.format_exception(raised.value))
    assert "Retrying" in caplog.text
    assert "secret" not in caplog.text
