"""What stands before everything that is served: a page of another origin gets nothing, whatever name it has this address under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nectar.errors import NectarError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Environ = dict[str, Any]
    Headers = list[tuple[str, str]]
    StartResponse = Callable[[str, Headers], Any]
    Application = Callable[[Environ, StartResponse], Iterable[bytes]]

HEADERS = [
    ("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
"""Of each response."""
OK, SEE_OTHER, FORBIDDEN, NOT_FOUND = "200 OK", "303 See Other", "403 Forbidden", "404 Not Found"


def guard(application: Application, hosts: frozenset[str]) -> Application:
    """Let through only GET, and only what was meant for this place and does not come from a page elsewhere.

    :param hosts: what a request may call it. A page of another site that has its name lead here calls it by that name.
    """

    def guarded(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers) -> Any:
            ours = {name.lower() for name, _ in HEADERS}
            return start_response(status, [*(each for each in headers if each[0].lower() not in ours), *HEADERS])

        host, origin = environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN")
        if host not in hosts:
            return respond(start, FORBIDDEN, "This is not the address that was told.")
        if origin not in (None, f"http://{host}"):
            return respond(start, FORBIDDEN, "No page but our own may ask.")
        if environ["REQUEST_METHOD"] != "GET":
            return respond(start, "405 Method Not Allowed", "There is nothing but GET.", [("Allow", "GET")])
        try:
            return application(environ, start)
        except NectarError as error:
            return respond(start, "500 Internal Server Error", error.message)

    return guarded


def respond(
    start: StartResponse, status: str, text: str | bytes, headers: Headers | None = None, kind: str = "text/plain"
) -> list[bytes]:
    """One whole response.

    :param kind: of the text, which is UTF-8.
    """
    body = text if isinstance(text, bytes) else f"{text}\n".encode()
    start(status, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), *(headers or [])])
    return [body]
