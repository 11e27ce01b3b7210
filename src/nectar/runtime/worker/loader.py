"""From an entry point to something that answers: what a worker loads, and how hooks come in."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from nectar.api import hookspecs
from nectar.api.decorator import is_async, is_handler
from nectar.errors import NectarError

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable
    from typing import Any

    from nectar.api.computation import Computation

PRIVATE_PLUGGY = "_nectar_pluggy"
"""The name under which pluggy is loaded in a worker: ``pluggy`` is left to the handler's own environment."""


class Handler:
    """What was loaded.

    :ivar compute: from a computation to whatever the author's code returned; where several are run at once, called in a thread each.
    :ivar task: the same as an async function, where it is one and no hook stands between.
    :ivar loop: gives the loop in which async functions run, where there are any.
    :ivar warnings: plugins that could not be loaded, each in one sentence; they stop nobody else.
    """

    def __init__(
        self,
        compute: Callable[[Computation], object],
        warnings: list[str],
        started: Callable[[], object] = lambda: None,
        stopping: Callable[[], object] = lambda: None,
        task: Callable[[Computation], Awaitable[object]] | None = None,
        loop: Callable[[], AbstractEventLoop] | None = None,
    ) -> None:
        self.compute = compute
        self.warnings = warnings
        self.started = started
        self.stopping = stopping
        self.task = task
        self.loop = loop


def load(entry: str, plugins: list[tuple[str, str]], pluggy: str) -> Handler:
    """Load a handler.

    :param entry: ``module:attribute``; or ``module``, in which there must be one ``@handler`` function.
    :param plugins: further entry points with hook implementations, as pairs of name and value.
    :param pluggy: the directory of the package, loaded only where there is a hook to call.
    :raises NectarError: there is no handler, or more than one.
    :raises Exception: whatever the author's code raised at its import.
    """
    function, target = _find(entry)
    plugged, warnings = _import_plugins(plugins)
    if function is not None and target is None and not plugged:
        return _direct(function, warnings)
    manager = _manager(pluggy)
    loop = None
    if function is not None:
        direct = _direct(function, warnings)
        loop = direct.loop
        manager.register(_FunctionPlugin(direct.compute), f"{entry} @handler")
    if target is not None:
        _register(manager, entry, target)
    for name, plugin in plugged:
        try:
            _register(manager, name, plugin)
        except Exception as error:
            warnings.append(f"plugin {name!r} cannot be used: {type(error).__name__}: {error}")
    hook = manager.hook
    if not hook.nectar_compute.get_hookimpls():
        raise NectarError(
            f"{entry} has no nectar_compute, and is no @handler function.", hint="Implement it with @nectar.hookimpl."
        )
    return Handler(
        lambda computation: hook.nectar_compute(computation=computation),
        warnings,
        hook.nectar_worker_started,
        hook.nectar_worker_stopping,
        loop=loop,
    )


def _import_plugins(plugins: list[tuple[str, str]]) -> tuple[list[tuple[str, Any]], list[str]]:
    """What those entry points name, by name, and what there is to say of the others."""
    plugged: list[tuple[str, Any]] = []
    warnings = []
    for name, value in plugins:
        try:
            plugged.append((name, _attribute(value)))
        except Exception as error:
            warnings.append(f"plugin {name!r} ({value}) could not be loaded: {type(error).__name__}: {error}")
    return plugged, warnings


def _register(manager: Any, name: str, plugin: Any) -> None:
    """:raises Exception: a class could not be made an object of, or what it implements is no hook of ours."""
    manager.register(plugin() if isinstance(plugin, type) else plugin, name)


def _find(entry: str) -> tuple[Callable[[Computation], Any] | None, Any]:
    """The ``@handler`` function of an entry point, and the object with hook implementations: one of the two may be None."""
    target = _attribute(entry)
    if is_handler(target):
        return target, None
    hooks = target if _has_hooks(target) else None
    found = {id(value): name for name, value in vars(target).items() if is_handler(value)} if isinstance(target, ModuleType) else {}
    where = getattr(target, "__file__", None)
    if len(found) > 1:
        raise NectarError(
            f"There are {len(found)} @handler functions: {', '.join(sorted(found.values()))}.",
            where=where,
            hint="Choose one with --handler NAME.",
        )
    if found:
        return getattr(target, *found.values()), hooks
    if hooks is None:
        import inspect

        what = "is a function without @handler" if inspect.isroutine(target) else "has neither a @handler function nor a hook"
        raise NectarError(
            f"{entry} {what}.",
            where=where,
            hint="Put @handler (from nectar import handler) above the function that answers.",
        )
    return None, hooks


def _attribute(entry: str) -> Any:
    module, _, attribute = entry.partition(":")
    value: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else []:
        if not hasattr(value, part):
            raise NectarError(
                f"The entry point {entry!r} points nowhere: {module} has no {part!r}.",
                where=getattr(value, "__file__", None),
                hint="Correct what --handler names, or the entry point in pyproject.toml.",
            )
        value = getattr(value, part)
    return value


def _has_hooks(candidate: Any) -> bool:
    return any(
        isinstance(getattr(getattr(candidate, name, None), hookspecs.IMPL_ATTRIBUTE, None), dict)
        for name in dir(candidate)
        if not name.startswith("__")
    )


class _FunctionPlugin:
    """A ``@handler`` function as the last implementation of ``nectar_compute``."""

    def __init__(self, compute: Callable[[Computation], object]) -> None:
        self._compute = compute

    @hookspecs.hookimpl(trylast=True)
    def nectar_compute(self, computation: Computation) -> object:
        return self._compute(computation)


def _direct(function: Callable[[Computation], Any], warnings: list[str]) -> Handler:
    """A ``@handler`` function, with no hook between."""
    if not is_async(function):
        return Handler(function, warnings)
    import asyncio

    # One loop for the worker's life, so that a client which the handler keeps stays usable.
    runner = asyncio.Runner()

    def compute(computation: Computation) -> object:
        loop = runner.get_loop()
        if loop.is_running():  # in the main thread, and this is another one
            return asyncio.run_coroutine_threadsafe(function(computation), loop).result()
        return runner.run(function(computation))

    return Handler(compute, warnings, task=function, loop=runner.get_loop)


def _manager(directory: str) -> Any:
    pluggy = _private_pluggy(directory)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _private_pluggy(directory: str) -> ModuleType:
    if PRIVATE_PLUGGY in sys.modules:
        return sys.modules[PRIVATE_PLUGGY]
    spec = importlib.util.spec_from_file_location(
        PRIVATE_PLUGGY, os.path.join(directory, "__init__.py"), submodule_search_locations=[directory]
    )
    if spec is None or spec.loader is None:
        raise NectarError("pluggy is not beside nectar's runtime.", where=directory)
    module = importlib.util.module_from_spec(spec)
    sys.modules[PRIVATE_PLUGGY] = module
    spec.loader.exec_module(module)
    return module
