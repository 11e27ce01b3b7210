"""Asks a web service how a question sounds: with a timeout, two more tries, and an error that says what is wrong.

The question is private, and goes into the body: URLs stand in logs, and in the errors of ``requests``. What the handler raises is the
node's answer, and is told in nectar's log: hence one sentence for each of the ways in which a service can fail.
"""

import os

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from nectar import Computation, handler

URL = "https://api.example.com/sentiment"
"""Of the service; the environment variable ``SENTIMENT_URL`` gives another."""

session = requests.Session()
tries = Retry(total=2, backoff_factor=0.1, status_forcelist=[429, 502, 503, 504], allowed_methods=["POST"], raise_on_status=False)
session.mount("http://", HTTPAdapter(max_retries=tries))
session.mount("https://", HTTPAdapter(max_retries=tries))


class ServiceError(Exception):
    """The service gave no score. The message goes to the node."""


@handler
def sentiment_analysis(comp: Computation) -> int:
    """Return the service's score."""
    # Each of three tries may wait twice, to connect and to read; with eight parts, some time is left.
    timeout = comp.deadline / 8
    try:
        response = session.post(os.environ.get("SENTIMENT_URL", URL), json={"text": comp.query}, timeout=timeout)
    except (requests.ConnectionError, requests.Timeout):
        problem = f"cannot be reached, or takes longer than {timeout:g} s"
    else:
        try:
            response.raise_for_status()
            return response.json()["score"]
        except requests.HTTPError:
            problem = f"answered {response.status_code} {response.reason}"
        except (ValueError, KeyError):
            problem = "answered without a score"
    raise ServiceError(f"the sentiment service {problem}")
