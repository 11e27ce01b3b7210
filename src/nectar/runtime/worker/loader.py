"""From an entry point to something that answers: what a worker loads, and how hooks come in."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from nectar.api import hookspecs
from nectar.api.coroutines import Coroutines
from nectar.api.decorator import is_async, is_handler

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor
    from typing import Any

    from nectar.api.computation import Computation, ComputationResult


class Handler:
    """What was loaded.

    :ivar compute: from a computation to whatever the author's code returned.
    :ivar coroutines: where async functions run.
    :ivar task: the same as an async function, where it is one and no hook stands between.
    :ivar warnings: plugins that could not be loaded, each in one sentence; they stop nobody else.
    :ivar answered: to be called after each answer was sent, where there is something to call then.
    :ivar given: once it has started, the executor by which each of its calls is made, where there is one: then none is made here.
    """

    def __init__(
        self,
        compute: Callable[[Computation], object],
        warnings: list[str],
        started: Callable[[], object] = lambda: None,
        stopping: Callable[[], object] = lambda: None,
        task: Callable[[Computation], Awaitable[object]] | None = None,
        coroutines: Coroutines | None = None,
        answered: Callable[[ComputationResult], object] | None = None,
    ) -> None:
        self.compute = compute
        self.warnings = warnings
        self.started = started
        self.stopping = stopping
        self.task = task
        self.coroutines = coroutines or Coroutines()
        self.answered = answered
        self.given: Executor | None = None

    def answer(self, computation: Computation) -> object:
        """What the author's code answers; where several are run at once, called in a thread each."""
        return self.coroutines.finish(self.compute(computation))


def load_ordered(order: dict[str, Any], use: str) -> Handler:
    """Load what a worker was ordered to.

    :param order: the frame ``load`` of :mod:`nectar.runtime.frames`.
    :param use: and what is raised: as for :func:`load`.
    """
    module, colon, attribute = order["entry"].partition(":")
    entry = install_ordered(order).get(module, module) + colon + attribute
    return load(entry, [(name, value) for name, value in order["plugins"]], order["pluggy"], use=use)


def install_ordered(order: dict[str, Any]) -> dict[str, str]:
    """Have the modules of a handler that is a single file be found, and its files be told of by their own names.

    :returns: the name of its module, by that in the entry point, where it has got another.
    """
    from nectar.runtime.worker.own import OWN

    OWN.tell(sys.prefix, order["directory"], order["snapshot"])
    if order["snapshot"] is None:
        return {}
    from nectar.runtime.worker import snapshot

    return snapshot.install(order["snapshot"], order["directory"])


def load(entry: str, plugins: list[tuple[str, str]], pluggy: str, *, use: str = "parts") -> Handler:
    """Load a handler.

    :param entry: ``module:attribute``; or ``module``, in which there must be one ``@handler`` function.
    :param plugins: further entry points with hook implementations, as pairs of name and value.
    :param pluggy: the directory of the package, loaded only where there is a hook to call.
    :param use: what the executor of the hook is for: ``parts`` of a question, ``whole`` ones, or ``none``, with which it is not asked for.
    :raises NectarError: there is no handler, or more than one, or it implements a hook that there is not.
    :raises Exception: whatever the author's code raised at its import.
    """
    entry = _plain(entry)
    function, target = _find(entry)
    plugged, warnings = _import_plugins(plugins)
    module = sys.modules[entry.partition(":")[0]]
    heard = [*([] if target is None else [target]), *(plugin for _, plugin in plugged)]
    if heard or any(name.startswith(f"{hookspecs.PROJECT}_") for name in vars(module)):
        from nectar.runtime.worker.hooks import find_overlooked

        warnings += find_overlooked(module, entry, heard)
    if function is not None and not heard:
        return _direct(function, warnings)
    return _hooked(entry, function, target, plugged, warnings, pluggy, use)


def _hooked(
    entry: str,
    function: Callable[[Computation], Any] | None,
    target: Any,
    plugged: list[tuple[str, Any]],
    warnings: list[str],
    pluggy: str,
    use: str,
) -> Handler:
    from nectar.runtime.worker.hooks import Hooks

    coroutines = Coroutines()
    hooks = Hooks(pluggy, coroutines)
    if function is not None:
        hooks.add(f"{entry} @handler", _FunctionPlugin(coroutines.called(function)))
    if target is not None:
        hooks.add(entry, target)
    for name, plugin in plugged:
        try:
            hooks.add(name, plugin)
        except Exception as error:
            warnings.append(f"plugin {name!r} cannot be used: {type(error).__name__}: {error}")
    call = hooks.call
    if not call.nectar_compute.get_hookimpls():
        from nectar.runtime.worker.unfit import explain_incomplete

        raise explain_incomplete(entry, target)
    compute, answered = (lambda computation: call.nectar_compute(computation=computation)), None
    if call.nectar_answered.get_hookimpls():
        from nectar.runtime.worker.hooks import Afterwards

        afterwards = Afterwards(call)
        compute, answered = afterwards.compute, afterwards.answered
    around = call.nectar_worker_started, call.nectar_worker_stopping
    handler = Handler(compute, warnings, *around, coroutines=coroutines, answered=answered)
    if use != "none" and call.nectar_executor.get_hookimpls():
        from nectar.runtime.worker.engine import Engine

        Engine(call, handler, whole=use == "whole")
    return handler


def _import_plugins(plugins: list[tuple[str, str]]) -> tuple[list[tuple[str, Any]], list[str]]:
    """What those entry points name, by name, and what there is to say of the others."""
    plugged: list[tuple[str, Any]] = []
    warnings = []
    for name, value in plugins:
        try:
            plugged.append((name, _attribute(_plain(value))))
        except Exception as error:
            warnings.append(f"plugin {name!r} ({value}) could not be loaded: {type(error).__name__}: {error}")
    return plugged, warnings


def _find(entry: str) -> tuple[Callable[[Computation], Any] | None, Any]:
    """The ``@handler`` function of an entry point, and the object with hook implementations: one of the two may be None."""
    target = _attribute(entry)
    if is_handler(target):
        return target, None
    hooks = target if _implements_hooks(target) else None
    found = {id(value): name for name, value in vars(target).items() if is_handler(value)} if isinstance(target, ModuleType) else {}
    if len(found) > 1:
        from nectar.runtime.worker.unfit import explain_several

        raise explain_several(entry, target, [*found.values()])
    if found:
        return getattr(target, *found.values()), hooks
    if hooks is None:
        from nectar.runtime.worker.unfit import explain_unfit

        raise explain_unfit(entry, target)
    return None, hooks


def _implements_hooks(target: Any) -> bool:
    from nectar.runtime.worker.hooks import has_hooks

    return has_hooks(target)


def _plain(value: str) -> str:
    """An entry point's value without what the specification allows beside its two parts: spaces, and extras, which load nothing."""
    module, colon, attribute = value.partition("[")[0].partition(":")
    return module.strip() + colon + attribute.strip()


def _attribute(entry: str) -> Any:
    module, _, attribute = entry.partition(":")
    value: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else []:
        if not hasattr(value, part):
            from nectar.runtime.worker.unfit import explain_nowhere

            raise explain_nowhere(entry, value, part)
        value = getattr(value, part)
    return value


class _FunctionPlugin:
    """A ``@handler`` function as the last implementation of ``nectar_compute``."""

    def __init__(self, compute: Callable[[Computation], object]) -> None:
        self._compute = compute

    @hookspecs.hookimpl(trylast=True)
    def nectar_compute(self, computation: Computation) -> object:
        return self._compute(computation)


def _direct(function: Callable[[Computation], Any], warnings: list[str]) -> Handler:
    """A ``@handler`` function, with no hook between."""
    return Handler(function, warnings, task=function if is_async(function) else None)
