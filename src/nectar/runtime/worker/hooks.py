"""Hooks in a worker: who implements them, who only seems to, and how they are called."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextvars import ContextVar
from types import CodeType

from nectar.api import hookspecs
from nectar.api.decorator import is_async
from nectar.errors import NectarError

TYPE_CHECKING = False  # typing is not imported in a worker
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

    from nectar.api.computation import Computation, ComputationResult
    from nectar.api.coroutines import Coroutines

PRIVATE_PLUGGY = "_nectar_pluggy"
"""The name under which pluggy is loaded in a worker: ``pluggy`` is left to the handler's own environment."""
_PREFIX = f"{hookspecs.PROJECT}_"
SPECIFIED = [name for name, value in vars(hookspecs).items() if hasattr(value, hookspecs.SPEC_ATTRIBUTE)]
"""The hooks that there are."""


class Hooks:
    """Plugins, and the hooks that they implement.

    :param pluggy: the directory of the package.
    :param coroutines: where async implementations run.

    :ivar call: has each hook as an attribute, to be called with keywords.
    """

    def __init__(self, pluggy: str, coroutines: Coroutines) -> None:
        self._coroutines = coroutines
        self._manager: Any = _private_pluggy(pluggy).PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.call = self._manager.hook

    def add(self, name: str, plugin: Any) -> None:
        """Have a plugin's hooks called from now on.

        :param plugin: an object; of a class, one is made.
        :raises NectarError: it implements a hook that there is not.
        :raises Exception: no object of the class could be made, or a hook has arguments that it does not take.
        """
        plugin = plugin() if isinstance(plugin, type) else plugin
        for attribute, value in _named(plugin):
            options = _options(value)
            hook = options and (options["specname"] or attribute)
            if options and hook not in SPECIFIED and not options["optionalhook"]:
                raise NectarError(
                    f"{_called(plugin)}.{attribute} implements {hook}, and there is no such hook.",
                    where=place(value),
                    hint=_nearest(str(hook)) or f"There are {', '.join(SPECIFIED)}.",
                )
        self._manager.register(plugin, name)
        for caller in self._manager.get_hookcallers(plugin) or ():
            for implementation in caller.get_hookimpls():
                if implementation.plugin is plugin and is_async(implementation.function):
                    implementation.function = self._coroutines.called(implementation.function)


class Afterwards:
    """What a hook that is called after each answer wants to know of it.

    :param call: the hooks.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._answers: ContextVar[Computation | None] = ContextVar("nectar.answers", default=None)

    def compute(self, computation: Computation) -> object:
        self._answers.set(computation)
        return self._call.nectar_compute(computation=computation)

    def answered(self, result: ComputationResult) -> None:
        """Call the hook, in the context of the computation; of a question that was none, there is nothing to tell it."""
        computation = self._answers.get()
        self._answers.set(None)
        if computation is not None:
            self._call.nectar_answered(computation=computation, result=result)


def has_hooks(candidate: Any) -> bool:
    """Whether a module, a class or an object implements any."""
    return any(_options(value) is not None for _, value in _named(candidate))


def find_overlooked(module: ModuleType, entry: str, plugins: list[Any]) -> Iterator[str]:
    """What its author may think is called, and is not, in a sentence each.

    :param module: in which the handler is, which ``entry`` names.
    :param plugins: whose hooks are called.
    """
    for candidate in (module, *(plugin for plugin in plugins if plugin is not module)):
        heard = any(plugin is candidate for plugin in plugins)
        for attribute, value in _named(candidate):
            if not callable(value) or hasattr(value, hookspecs.SPEC_ATTRIBUTE):
                continue
            name = f"{_called(candidate)}.{attribute}"
            near = "" if attribute in SPECIFIED else _nearest(attribute)
            if _options(value) is not None and candidate is module and attribute == "nectar_commands":
                yield f"{name} is not called in a handler: verbs come from what is installed beside nectar, see nectar plugins."
            elif _options(value) is not None and not heard:
                yield (
                    f"{name} is not called: the entry point is {entry}, and hooks are looked for in what it names. "
                    f'Have it name the module, "{module.__name__}", or add one in the group nectar.plugins.'
                )
            elif _options(value) is None and attribute.startswith(_PREFIX) and (attribute in SPECIFIED or near):
                yield f"{name} is not called: it has no @nectar.hookimpl on it. {near}".rstrip()


def place(value: Any) -> str | None:
    """Where a function stands."""
    code = getattr(value, "__code__", None)
    return f"{code.co_filename}, line {code.co_firstlineno}" if isinstance(code, CodeType) else None


def _named(candidate: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(candidate):
        if not name.startswith("__"):
            yield name, getattr(candidate, name, None)


def _options(value: Any) -> dict[str, Any] | None:
    options = getattr(value, hookspecs.IMPL_ATTRIBUTE, None)
    return options if isinstance(options, dict) else None


def _called(plugin: Any) -> str:
    return str(getattr(plugin, "__name__", type(plugin).__qualname__))


def _nearest(name: str) -> str:
    import difflib

    found = difflib.get_close_matches(name, SPECIFIED, 1, 0.8)
    return f"Did you mean {found[0]}?" if found else ""


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
