"""``nectar dashboard``: what its page asks for. All of it is read, by the daemons' sockets and from their logs, and nothing is changed."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from nectar import __version__
from nectar.errors import NectarError
from nectar.manage.handlers import handlers, inspection, logs, registry
from nectar.web.guard import FORBIDDEN, NOT_FOUND, OK, SEE_OTHER, respond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nectar.home import Home
    from nectar.manage.handlers.inspection import Seen
    from nectar.web.guard import Environ, StartResponse
    from nectar.web.keys import Keys

PAGE = Path(__file__).parent / "page"
FILES = {
    "": ("index.html", "text/html"),
    "dashboard.js": ("dashboard.js", "text/javascript"),
    "dashboard.css": ("dashboard.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""What the page is made of, by what it is asked for as: nothing of a handler's is in these, so that they need no cookie."""
FRESH = 1.0
"""Seconds for which what the daemons said is told again, to however many pages."""
LINES = 300
"""Of a log."""
FROM_US = (None, "same-origin", "none")
"""What a browser says of where a request comes from, if it does: our page, or its user."""


class Dashboard:
    """The WSGI application.

    :param opened: called when the token was spent.
    """

    def __init__(self, home: Home, keys: Keys, opened: Callable[[], None]) -> None:
        self._home = home
        self._keys = keys
        self._opened = opened
        self._turn = threading.Lock()
        self._table: dict[str, Any] = {}
        self._asked = -FRESH

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/":
            return self._let_in(environ, start_response)
        what = path.removeprefix(self._keys.path)
        if what == path:
            return respond(start_response, NOT_FOUND, "There is nothing here.")
        if what in FILES:
            name, kind = FILES[what]
            return respond(start_response, OK, (PAGE / name).read_bytes(), kind=kind)
        if environ.get("HTTP_SEC_FETCH_SITE") not in FROM_US or not self._keys.fit(environ.get("HTTP_COOKIE", "")):
            return respond(start_response, FORBIDDEN, "This browser did not open the address.")
        try:
            found = self._answer(what, environ)
        except NectarError as error:
            found = {"problem": error.message}
        if found is None:
            return respond(start_response, NOT_FOUND, "There is nothing here.")
        return respond(start_response, OK, json.dumps(found), kind="application/json")

    def _let_in(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        tokens = parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])
        cookie = self._keys.spend(tokens[0])
        if cookie is None:
            return respond(
                start_response,
                FORBIDDEN,
                "An address of the dashboard can be opened once, and within a minute. For another: nectar dashboard",
            )
        self._opened()
        return respond(start_response, SEE_OTHER, "", [("Location", self._keys.path), ("Set-Cookie", cookie)])

    def _answer(self, what: str, environ: Environ) -> dict[str, Any] | None:
        if what == "handlers":
            return self._tell_all()
        kind, _, name = what.partition("/")
        if name not in registry.read(self._home):
            return None
        if kind == "history":
            return self._tell_history(name)
        if kind == "log":
            return self._tell_log(name, parse_qs(environ.get("QUERY_STRING", "")).get("seen", [""])[0])
        return None

    def _tell_all(self) -> dict[str, Any]:
        with self._turn:
            if time.monotonic() - self._asked >= FRESH:
                records = handlers.refresh(self._home)
                told = [_tell(seen) for seen in sorted(inspection.survey(self._home, records), key=lambda seen: seen.name)]
                self._table = {"data_dir": str(self._home.data_dir), "version": __version__, "now": time.time(), "handlers": told}
                self._asked = time.monotonic()
            return self._table

    def _tell_history(self, name: str) -> dict[str, Any]:
        told = next((each["daemon"] for each in self._tell_all()["handlers"] if each["name"] == name), None)
        if told is None:
            return {"problem": "its daemon does not run, or does not answer"}
        if not told["keeps"]:
            return {"problem": f"its daemon is an older nectar's; nectar restart {name}"}
        return inspection.fetch_history(self._home, name)

    def _tell_log(self, name: str, seen: str) -> dict[str, Any]:
        """The last lines of a log; None instead of these where they are those that were seen."""
        try:
            status = self._home.log(name).stat()
        except FileNotFoundError:
            return {"seen": "", "lines": []}
        now = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
        lines = None if seen == now else [line for _, line in logs.read_lines(self._home, [name], last=LINES, follow=False)]
        return {"seen": now, "lines": lines}


def _tell(seen: Seen) -> dict[str, Any]:
    record, health, daemon = seen.record, seen.health, seen.daemon
    told: dict[str, Any] = {
        "name": seen.name,
        "state": health.state.value,
        "well": health.is_well,
        "what": health.what,
        "since": health.since,
        "cure": health.cure,
        "handler": record.handler,
        "aliases": record.attached_aliases,
        "pid": record.pid,
        "started": record.started if record.status == "running" else None,
        "daemon": None,
    }
    if daemon is not None:
        workers = daemon.get("workers", [])
        told["daemon"] = {
            "counts": daemon.get("counts", {}),
            "waiting": daemon.get("queue"),
            "oldest": max((alias.get("oldest") or 0 for alias in daemon.get("aliases", {}).values()), default=0),
            "memory": sum(worker.get("memory", 0) for worker in workers),
            "runs": [run for worker in workers for run in worker.get("runs", ())],
            "latency": daemon.get("latency"),
            "hour": daemon.get("hour", []),
            "last_answered": daemon.get("last_answered"),
            "last_error": daemon.get("last_error"),
            "last_failed": daemon.get("last_failed"),
            "deaths": daemon.get("deaths", []),
            "version": daemon.get("version"),
            "keeps": "answers" in daemon,
        }
    return told
