"""What a handler's worker sees behind its wall: its environment, what that is made with, nectar's side, and the files it was built from."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nectar.errors import ConflictError, EnvironmentFailedError
from nectar.home import find_user_home
from nectar.manage.daemon import bytecode
from nectar.manage.environment.marker import SOURCE
from nectar.manage.environment.survey import never_source
from nectar.manage.wall import bubblewrap, pythons, trying
from nectar.manage.wall.bubblewrap import Layout
from nectar.manage.wall.paths import Closed, check_open, name_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nectar.home import Home
    from nectar.manage.daemon.assignment import Order
    from nectar.manage.environment.generations import Environment
    from nectar.manage.source.source import Source
    from nectar.manage.wall.grants import Grants
    from nectar.settings import Settings


def surround(home: Home, source: Source, built: Environment, script: Path, settings: Settings, grants: Grants) -> dict[str, Any]:
    """The wall for a handler's workers, as :attr:`nectar.protocol.Loading.wall`.

    :param script: ``start.py`` of the runtime.
    :raises NectarError: none can stand here.
    :raises UsageError: it could not be one: what must be seen holds what must not.
    :raises EnvironmentFailedError: the source is no longer what was built.
    """
    program = trying.require(home)
    user = find_user_home(os.environ)
    api = script.parents[2]
    shown = {str(path): str(path) for path in (built.path, api, api.parent / "deps" / "pluggy")}
    for prefix in pythons.list_prefixes(built.python, home):
        check_open(grants, [Closed(prefix, "the Python that it runs on", to_writing=True)])
        shown[str(prefix)] = str(prefix)
    bytecode.provide(program, built, api, [*shown])
    links: dict[str, str] = {}
    closed: list[str] = []
    inside = {} if source.kind == "requirement" else name_inside(settings.needs, grants, source.directory)
    if source.kind == "package":
        room = [Path(path) for path in (*shown, *inside, *grants.paths, *(() if user is None else (user,)))]
        closed = [*_lay_out(_keep_copy(home, source, built), source.directory, room, shown, links)]
    elif built.snapshot is not None:
        shown |= _modules(built.snapshot, source.directory)
    elif source.kind != "requirement":
        shown[str(source.path)] = str(source.path)
    if user is not None and any(user.is_relative_to(directory) for directory in closed):
        closed = []
    layout = Layout(
        home=None if user is None else str(user),
        directory=str(source.directory),
        shown=shown,
        closed=tuple(closed),
        links=links,
        aliases={path: origin for path, origin in inside.items() if path != origin},
        grants=grants,
        size=settings.sandbox_tmp_bytes,
        processes=settings.sandbox_processes,
    )
    return bubblewrap.compose(program, layout)


def check(order: Order, settings: Settings, *, on_an_engine: bool) -> None:
    """Whether a handler can be as it is asked for, and have a wall.

    :raises ConflictError: its questions would be answered elsewhere; or it is launched, and its project asks for variables that its operator
        has not given. At a later start it is without them, as it was at the launch.
    """
    if on_an_engine:
        raise ConflictError(
            "The handler's questions are answered on an engine, whose workers have no wall.",
            where=order.source.shown,
            hint='Leave the engine out: executor = "none" under [tool.nectar]; or the wall: --no-sandbox',
        )
    given = order.given.variables()
    asked = [name for name in settings.pass_env if name in os.environ and name not in given]
    if asked and order.created is None:
        raise ConflictError(
            f"The handler asks for variables of this shell: {', '.join(asked)}.",
            where=f"pass_env in {order.source.shown}",
            hint=f"If it may have them: {shlex.join(word for name in asked for word in ('--env', name))}",
        )


def change_variables(variables: Mapping[str, str], grants: Grants) -> dict[str, str]:
    """The variables of a process behind a wall, from those that it would have without: a proxy's may have a login in them."""
    user = find_user_home(os.environ)
    changed = {name: value for name, value in variables.items() if grants.network or not name.lower().endswith("_proxy")}
    changed["TMPDIR"] = "/tmp"  # noqa: S108 - its own
    if changed.get("HOME") in (None, os.environ.get("HOME")):
        changed["HOME"] = bubblewrap.choose_home(None if user is None else str(user))
    return changed


def _modules(manifest: Path, directory: Path) -> dict[str, str]:
    """A single file and the modules that it imports, by the author's paths."""
    modules = json.loads(manifest.read_text(encoding="utf-8"))["modules"].values()
    return {str(directory / module["origin"]): str(manifest.parent / module["file"]) for module in modules}


def _lay_out(kept: Path, directory: Path, room: list[Path], shown: dict[str, str], links: dict[str, str]) -> Iterator[str]:
    """Show a copy of a directory in its place: whole, but for where something else comes between, for which there must be room.

    :param room: paths inside.
    :param shown: gets path inside to what is there, and ``links`` to what is written in a link.
    :returns: the directories that are put together of their entries.
    """
    if not any(directory in each.parents for each in room):
        shown[str(directory)] = str(kept)
        return
    yield str(directory)
    for entry in sorted(kept.iterdir()):
        path = directory / entry.name
        if entry.is_symlink():
            links[str(path)] = os.readlink(entry)
        elif entry.is_dir():
            yield from _lay_out(entry, path, room, shown, links)
        else:
            shown[str(path)] = str(entry)


def _keep_copy(home: Home, source: Source, built: Environment) -> Path:
    """What of a project went into its build, below the project's own directory, as it was then.

    A copy, because what lies in a directory later is another matter: a link out, or what somebody does not mean to show.

    :raises EnvironmentFailedError: there is none yet, and the source is another one by now.
    """
    place = built.path / SOURCE
    if not place.is_dir():
        aside = Path(tempfile.mkdtemp(prefix=f".{SOURCE}-", dir=built.path))
        try:
            plan, tree = source.plan(but=never_source(home)), aside / "tree"
            tree.mkdir()
            digests = plan.digests(plan.tree.copy(tree))
            if any(digests[part] != built.marker.digests[part] for part in ("project", "source")):
                raise EnvironmentFailedError(
                    "The handler's source is no longer what its environment was built from.", where=source.shown
                )
            kept = tree / plan.project
            kept.chmod(0o700)
            kept.rename(place)
        except OSError as error:
            if not place.is_dir():  # or else another command was faster
                what = error.strerror or error
                raise EnvironmentFailedError(
                    f"The handler's source cannot be copied: {what}.", where=str(error.filename)
                ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return place
