"""The paths that are granted: each is there, leads where it says, and opens nothing that no grant may."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nectar.errors import ConflictError, NectarError, NotFoundError, UsageError
from nectar.home import make_absolute
from nectar.manage.files.devices import find_mounts, is_virtual
from nectar.manage.wall.grants import Grants
from nectar.settings import part_grant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Closed(NamedTuple):
    """A place that no grant opens.

    :ivar what: as in "which is {what}".
    :ivar within: whether what lies in it is closed, too, and not only itself and what holds it.
    :ivar to_writing: whether reading is no matter.
    """

    path: Path
    what: str
    within: bool = True
    to_writing: bool = False


def read(texts: Iterable[str], directory: Path | None, *, where: str) -> Grants:
    """What texts grant, as a person wrote them.

    :param directory: from which a relative path is meant: the source's; None where there is none.
    :param where: what to call their place in an error.
    :raises UsageError: one cannot be granted, or contradicts another.
    :raises NotFoundError: there is nothing at a path.
    """
    kinds, paths = set(), []
    for text in texts:
        kind, path = part_grant(text, where=where)
        kinds.add(kind)
        if path:
            paths.append((kind, str(_find(path, directory, f"{where}: {text}"))))
    granted = {kind: tuple(path for each, path in paths if each == kind) for kind in ("read", "write")}
    return join(Grants(), Grants(network="network" in kinds, gpu="gpu" in kinds, **granted), where=where)


def join(had: Grants, more: Grants, *, where: str) -> Grants:
    """Both together. What could be read and is to be written, can be written.

    :raises UsageError: what is to be read lies in what can be written: it would be no other than the rest of that.
    """
    write = _outermost((*had.write, *more.write))
    for path in more.read:
        holds = next((each for each in write if _is_in(path, each)), None)
        if holds is not None:
            raise UsageError(
                f"read={path} contradicts write={holds}: what can be written can be read, and its names can be made to lead elsewhere.",
                where=where,
                hint=f"Leave read={path} out, or have both in directories of their own.",
            )
    read = [path for path in (*had.read, *more.read) if not any(_is_in(path, each) for each in write)]
    return Grants(network=had.network or more.network, gpu=had.gpu or more.gpu, read=_outermost(read), write=write)


def find_missing(needs: Iterable[str], grants: Grants, directory: Path | None) -> list[str]:
    """Of what a handler needs, what it is not granted, as its author wrote it.

    :param directory: as for :func:`read`.
    """
    return [need for need in dict.fromkeys(needs) if not _covers(grants, *part_grant(need, where="needs"), directory)]


def name_inside(needs: Iterable[str], grants: Grants, directory: Path) -> dict[str, str]:
    """By which paths in a source's directory, as its author calls that, something that is granted is reached: path to where that is.

    The directory may be reached by a link, and what the handler needs may be one that leads out of it.
    """
    led = Path(os.path.realpath(directory))
    named = {str(directory / Path(path).relative_to(led)): path for path in grants.paths if Path(path).is_relative_to(led)}
    for kind, written in (part_grant(need, where="needs") for need in needs):
        there = _lead(written, directory) if written and not written.startswith(("/", "~")) else None
        if there is not None and _covers(grants, kind, written, directory):
            named.setdefault(os.path.normpath(directory / written), there)
    return named


def check_there(grants: Grants) -> None:
    """:raises NectarError: something that was granted once is not there any more, or has become a link."""
    for text, path in _with_texts(grants):
        try:
            led = os.path.realpath(path, strict=True)
        except OSError as error:
            problem = NotFoundError if isinstance(error, FileNotFoundError) else ConflictError
            raise problem(f"What is granted cannot be reached: {error.strerror}.", where=text, hint=_MEND) from None
        if led != str(path):
            raise ConflictError(f"What is granted leads elsewhere by now, by a link: to {led}.", where=text, hint=_MEND)


def check_open(grants: Grants, closed: Sequence[Closed]) -> None:
    """:raises UsageError: a grant, or what is mounted in it, is, holds or lies in what is closed."""
    there = {each: _chain(each.path) for each in closed}
    for text, path in _with_texts(grants):
        if path == Path("/"):
            raise UsageError("That would be the whole system, and no wall.", where=text, hint=_NARROW)
        for place in (path, *map(Path, find_mounts(str(path)))):
            told = text if place == path else f"{text}, in which {place} is mounted"
            chain = _chain(place)
            if path.is_relative_to("/dev") or (chain and is_virtual(chain[0][0])):
                raise UsageError("What the kernel says of processes and devices is never granted.", where=told, hint=_NARROW)
            for each in closed if text.startswith("write=") else (each for each in closed if not each.to_writing):
                if how := _relate(chain, there[each], within=each.within):
                    written = " to write" if each.to_writing else ""
                    raise UsageError(f"It {how} {each.what}, which is never granted{written}.", where=told, hint=_NARROW)


def is_in(path: Path, places: Iterable[str]) -> str | None:
    """The one of several places that a path is or lies in, under whatever name, or leads through by a link."""
    led = set(_chain(path)) | {(each.st_dev, each.st_ino) for each in _walk(path)}
    return next((place for place in places if led & set(_chain(Path(place))[:1])), None)


def _walk(path: Path) -> Iterator[os.stat_result]:
    """What lies on the way to a path, with what the links in it lead through: who may write there decides where it leads."""
    here, parts = Path("/"), [*path.parts]
    for _ in range(_MOST):
        if not parts:
            return
        part = parts.pop(0)
        there = here.parent if part == ".." else here / part  # which is "/" where the part is
        try:
            status = os.lstat(there)
            if stat.S_ISLNK(status.st_mode):
                parts = [*Path(os.readlink(there)).parts, *parts]
                continue
        except OSError:
            return
        yield status
        here = there


_MOST = 1000
"""Steps to a path, with those of the links in it: the kernel follows forty."""
_MEND = "Put it back, or launch the handler again with what it may have."
_NARROW = "Grant a directory that holds what is needed, and nothing else."


def _find(written: str, directory: Path | None, where: str) -> Path:
    """Where a path that a person wrote leads.

    :raises NectarError: nowhere, or it lies in the source and leads out of it, or to what is neither a directory nor a file.
    """
    relative = not written.startswith(("/", "~"))
    if relative and directory is None:
        raise UsageError("A relative path is meant from the source, and there is none.", where=where, hint="Give an absolute path.")
    path = make_absolute(directory / written if relative and directory is not None else written)
    try:
        led = Path(os.path.realpath(path, strict=True))
        mode = led.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        missing = NotFoundError("There is nothing at this path.", where=f"{where}: {path}" if str(path) not in where else where)
        missing.hint = "Make it, or leave that out." + (" A relative path is meant from the handler's source." if relative else "")
        raise missing from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"This path cannot be followed: {why}.", where=where, hint="Correct it, or leave that out.") from None
    if relative and directory is not None:
        source = Path(os.path.realpath(directory))
        if Path(os.path.normpath(source / written)).is_relative_to(source) and not led.is_relative_to(source):
            kind = where.rpartition(": ")[2].partition("=")[0]
            raise UsageError(
                f"This leads out of the source, by a link: to {led}.", where=where, hint=f"Where that is meant: {kind}={led}"
            )
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UsageError("Only directories and files are granted, and this is neither.", where=f"{where}: {led}")
    return led


def _covers(grants: Grants, kind: str, written: str, directory: Path | None) -> bool:
    if kind in ("network", "gpu"):
        return grants.network if kind == "network" else grants.gpu
    led = _lead(written, directory)
    return led is not None and any(_is_in(led, place) for place in (grants.write if kind == "write" else grants.paths))


def _lead(written: str, directory: Path | None) -> str | None:
    """Where what a handler needs lies; None where it is not there."""
    try:
        path = directory / written if directory is not None and not written.startswith("~") else make_absolute(written)
        return os.path.realpath(path, strict=True)
    except (NectarError, OSError, ValueError):
        return None


def _with_texts(grants: Grants) -> Iterator[tuple[str, Path]]:
    """Its paths, and how each is granted."""
    yield from ((f"read={path}", Path(path)) for path in grants.read)
    yield from ((f"write={path}", Path(path)) for path in grants.write)


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Without what lies in another of them."""
    known = tuple(dict.fromkeys(paths))
    return tuple(path for path in known if not any(path != other and _is_in(path, other) for other in known))


def _is_in(path: str, place: str) -> bool:
    return Path(path).is_relative_to(place)


def _relate(chain: list[tuple[int, int]], other: list[tuple[int, int]], *, within: bool) -> str | None:
    """How a path stands to another one, in a word or two; both as :func:`_chain` tells of them."""
    if not chain or not other:
        return None
    if chain[0] in other:
        return "is" if chain[0] == other[0] else "holds"
    return "lies in" if within and other[0] in chain else None


def _chain(path: Path) -> list[tuple[int, int]]:
    """Which files a path and the directories above it are, whatever they are called; nothing where it is not there."""
    try:
        found = [os.stat(each) for each in (path, *Path(os.path.realpath(path)).parents)]
    except OSError:
        return []
    return [(each.st_dev, each.st_ino) for each in found]
