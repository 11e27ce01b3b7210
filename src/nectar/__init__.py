"""Nectar: computation handlers for bee-hive nodes.

What a handler's author imports::

    from nectar import handler, Computation

    @handler
    def analyze(comp: Computation) -> int:
        return len(comp.query) * 2

Nothing else is imported until it is asked for: this package is on the path of every handler's process, where it must cost
nothing and bring nothing along.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own name for it would have typing imported, before an interrupt can be met
if TYPE_CHECKING:
    from nectar.api.computation import Computation, ComputationResult
    from nectar.api.context import comp_id
    from nectar.api.decorator import handler
    from nectar.api.hookspecs import hookimpl
    from nectar.api.parts import executor

__version__ = "0.1.0"
__all__ = ["Computation", "ComputationResult", "__version__", "comp_id", "executor", "handler", "hookimpl"]

_HOMES = {
    "Computation": "nectar.api.computation",
    "ComputationResult": "nectar.api.computation",
    "comp_id": "nectar.api.context",
    "executor": "nectar.api.parts",
    "handler": "nectar.api.decorator",
    "hookimpl": "nectar.api.hookspecs",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
