"""From a source to what a process of a handler is started with; ``test`` and ``launch`` go the same way here."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar import processes
from nectar.entries import choose
from nectar.frozen import replace
from nectar.manage.daemon import engine, variables
from nectar.manage.daemon.given import Given
from nectar.manage.environment import sidecar
from nectar.protocol import Assignment, EntryPoint, Loading
from nectar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nectar.errors import NectarError
    from nectar.home import Home
    from nectar.manage.environment.generations import Environment
    from nectar.manage.source.source import Source
    from nectar.manage.wall.grants import Grants


class Order(NamedTuple):
    """What was asked for.

    :ivar entry: the name of the entry point, where the project has several.
    :ivar settings: what flags give, as ``[tool.nectar]`` would.
    :ivar given: variables.
    :ivar wall: what its operator grants it behind a wall; None where it is to run without one.
    :ivar aliases: to attach to, together with those that the name has already.
    :ivar created: Unix seconds of the launch, where this is not the first start.
    """

    source: Source
    entry: str | None = None
    settings: Mapping[str, Any] = {}
    given: Given = Given()
    wall: Grants | None = None
    aliases: tuple[str, ...] = ()
    created: float | None = None

    def read_settings(self) -> Settings:
        """Those of the project, with what flags give.

        :raises UsageError: one is wrong.
        """
        project = self.source.settings
        table = {**project.to_mapping(), **self.settings}
        if "dask" in self.settings:
            table["dask"] = {**project.dask, **self.settings["dask"]}
        return Settings.from_mapping(table)


class Prepared(NamedTuple):
    """All that a daemon, or a trial, is started with.

    :ivar python: the interpreter of the handler's environment.
    :ivar script: ``start.py`` of the runtime for that interpreter.
    """

    order: Order
    environment: Environment
    entry: EntryPoint
    settings: Settings
    given: Given
    assignment: Assignment
    python: Path
    script: Path

    @property
    def mark(self) -> str:
        """What marks the handler's daemon."""
        return processes.handler_mark(self.assignment.data_dir, self.assignment.name)

    def explain(self, error: NectarError) -> NectarError:
        """The same error, which kept the handler from being loaded, with what to do about it, where that is known."""
        if error.hint is None:
            error.hint = self.find_hint(
                error.message.removeprefix("The handler could not be loaded: "), error.detail or "", loading=True
            )
        return error

    def find_hint(self, said: str, traceback: str, *, loading: bool = False) -> str | None:
        """What to do about what the handler's code ended with; the parameters are as for :class:`nectar.manage.daemon.hints.Case`."""
        from nectar.manage.daemon import hints  # only where something is wrong

        given = self.assignment.loading.variables
        python = self.environment.marker.python_version
        return hints.find_hint(hints.Case(self.order.source, said, traceback, loading, given, os.environ, python))


def prepare(home: Home, name: str, order: Order, built: Environment, *, chosen: EntryPoint | None = None) -> Prepared:
    """:param chosen: the entry point, where it is known from an earlier launch.
    :raises UsageError: a setting is wrong, or the entry point must be chosen.
    :raises NectarError: it is to have a wall, and cannot.
    """
    entry = chosen or choose_entry(built, order.entry)
    settings = order.read_settings()
    passed = settings.pass_env if order.wall is None else []  # behind a wall, who gives something is the operator
    given = replace(order.given.passing([*passed, engine.ADDRESS], os.environ), login=order.source.login)
    process = variables.compose(os.environ, replace(settings, pass_env=passed), given.variables())
    script = sidecar.start_script(sidecar.provide_runtime(home, built.marker.python_version))
    runs_on = engine.describe(name, settings, given.variables(), order.source.directory, built.marker)
    loading = _loading(built, order.source, entry, process)._replace(engine=runs_on)
    on_an_engine = runs_on["dask"] is not None and engine.LIBRARY in dict(built.marker.distributions)
    if chosen is None and on_an_engine:
        from nectar.manage.environment import locking  # which no handler without an engine is to wait for

        locking.require(home, order.source)
    if order.wall is not None:
        from nectar.manage.daemon import surroundings  # 5 ms that no handler without a wall is to wait for

        asked_for = runs_on["dask"] is not None and "address" in settings.dask
        surroundings.check(order, settings, on_an_engine=on_an_engine or asked_for)
        wall = surroundings.surround(home, order.source, built, script, settings, order.wall)
        loading = loading._replace(wall=wall, variables=surroundings.change_variables(loading.variables, order.wall))
    return Prepared(
        order=order,
        environment=built,
        entry=entry,
        settings=settings,
        given=given,
        assignment=Assignment(name=name, data_dir=str(home.data_dir), loading=loading, settings=settings.to_mapping()),
        python=built.python,
        script=script,
    )


def choose_entry(environment: Environment, handler: str | None) -> EntryPoint:
    """The entry point to load.

    :param handler: the name that a person gave: an entry point's, or, of a single file, a function's.
    :raises UsageError: there is none of that name, or there are several and none was named.
    """
    entries = environment.marker.entries
    if environment.snapshot is not None and handler not in (None, *dict(entries)) and re.fullmatch(r"[^\W\d]\w*", str(handler)):
        return EntryPoint(str(handler), f"{entries[0].value}:{handler}")
    return choose(entries, handler, where=environment.marker.distribution, way="--handler", example="--handler {}")


def _loading(
    environment: Environment,
    source: Source,
    entry: EntryPoint,
    given: Mapping[str, str],
) -> Loading:
    """All that a worker needs to load the handler.

    :param given: the variables of the handler's process, from :func:`nectar.manage.daemon.variables.compose`.
    """
    return Loading(
        python=str(environment.python),
        entry=entry,
        directory=str(source.directory),
        plugins=list(environment.marker.plugins),
        snapshot=str(environment.snapshot) if environment.snapshot else None,
        variables=variables.activate(environment.path, given),
    )
