"""Who may look: whoever had the address first."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = 60.0
"""Seconds for which an address can be opened."""
COOKIE = "nectar"


class Keys:
    """A token, which is good once and for a while, and a cookie, which is what one gets for it.

    :param clock: monotonic seconds.
    :ivar token: for the address.
    :ivar path: below which all else is. A browser sends a cookie to each port of a host, whosever program listens there; but only
        to this path, which no other program knows.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_urlsafe(32)
        self.path = f"/{secrets.token_urlsafe(16)}/"
        self._secret = secrets.token_urlsafe(32)
        self._clock = clock
        self._until = clock() + GOOD
        self._turn = threading.Lock()
        self._spent = False

    def spend(self, token: str) -> str | None:
        """The header that sets the cookie, for a token that is good; it is so no more."""
        with self._turn:
            if self._spent or self._clock() >= self._until or not _equal(token, self.token):
                return None
            self._spent = True
        return f"{COOKIE}={self._secret}; Path={self.path}; HttpOnly; SameSite=Strict"

    def fit(self, cookies: str) -> bool:
        """Whether ours is among those that came with a request."""
        return any(_equal(cookie.strip(), f"{COOKIE}={self._secret}") for cookie in cookies.split(";"))


def _equal(one: str, other: str) -> bool:
    """The same, in a time that tells nothing of how far they are."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())
