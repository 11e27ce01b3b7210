"""Fetching the sources of what has no wheel: without any login, and checked against the lock."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from nectar.errors import EnvironmentFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 60
_PIECE = 1024 * 1024
_MOST = 4 * 1024**3
"""Bytes of an sdist."""
_SCHEMES = ("https", "http", "file")


def fetch(name: str, sdist: Mapping[str, object], base: Path, into: Path, *, offline: bool) -> Path:
    """Fetch an sdist.

    :param sdist: as a lock says it: ``url``, or ``path`` relative to the index, and ``hash``.
    :param base: what a relative path is relative to.
    :raises EnvironmentFailedError: it cannot be had, or is another one.
    """
    address, said = sdist.get("url"), str(sdist.get("hash", ""))
    place = base / str(sdist.get("path")) if address is None else None
    url = str(address)
    if place is None and urlsplit(url).scheme not in _SCHEMES:
        raise _failure(name, "its address is none that is fetched from", url)
    if place is None and urlsplit(url).scheme == "file":
        place = Path(unquote(urlsplit(url).path))
    if place is None and offline:
        raise _failure(name, "there is no network to be used", url)
    target = into / os.path.basename(str(place) if place is not None else unquote(urlsplit(url).path))
    kind, _, wanted = said.partition(":")
    try:
        digest = _copy(place, target, kind) if place is not None else _download(url, target, kind)
    except (OSError, ValueError) as error:
        raise _failure(name, str(error), url if place is None else str(place)) from None
    if wanted and digest != wanted:
        raise _failure(name, f"its {kind} is {digest} and not {wanted}", url)
    return target


def _download(url: str, target: Path, kind: str) -> str:
    from urllib.request import urlopen  # slow to import

    with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme was looked at
        return _write(answer.read, target, kind)


def _copy(place: Path, target: Path, kind: str) -> str:
    from nectar.regular import open_regular

    descriptor, _ = open_regular(place, follow=True)
    with open(descriptor, "rb") as stream:
        return _write(stream.read, target, kind)


def _write(read: object, target: Path, kind: str) -> str:
    digest, size = hashlib.new(kind or "sha256"), 0
    with open(target, "xb") as stream:
        while piece := read(_PIECE):  # type: ignore[operator]
            size += len(piece)
            if size > _MOST:
                raise ValueError("it is larger than 4 GiB")
            digest.update(piece)
            stream.write(piece)
    return digest.hexdigest()


def _failure(name: str, why: str, where: str) -> EnvironmentFailedError:
    return EnvironmentFailedError(
        f"The source of {name} cannot be fetched to be built behind a wall: {why}.",
        where=where,
        hint="It is fetched without any login. Have a wheel of it on the index, or among the handler's own sources.",
    )
