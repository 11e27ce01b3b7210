"""Asks a web service how a question sounds: a handler with a dependency of its own."""

import os

import requests

from nectar import Computation, handler

URL = "https://api.example.com/sentiment"
"""Of the service; the environment variable ``SENTIMENT_URL`` gives another."""


@handler
def sentiment_analysis(comp: Computation) -> int:
    """Return the service's score."""
    response = requests.get(
        os.environ.get("SENTIMENT_URL", URL),
        params={"text": comp.query},
        timeout=comp.deadline,
    )
    response.raise_for_status()
    return response.json()["score"]
