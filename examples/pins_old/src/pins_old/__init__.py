"""Pins old versions of the libraries that nectar itself is built on, and computes with them what only they can.

The answer tells the versions: one byte for each of click, pluggy, pydantic and watchdog, with the major version in its upper half
and the minor one (15 at most) in its lower.
"""

from importlib.metadata import version

import click
import pluggy
import pydantic
from watchdog.events import FileModifiedEvent

from nectar import Computation, handler

spec = pluggy.HookspecMarker("pins")
impl = pluggy.HookimplMarker("pins")


class Byte(pydantic.BaseModel):
    """One library's version."""

    library: str
    value: int = 0

    @pydantic.validator("value", always=True)  # gone in pydantic 3, and with another meaning in 2
    def of_the_library(cls, value: int, values: dict) -> int:  # noqa: N805
        major, minor = version(values["library"]).split(".")[:2]
        return value or int(major) << 4 | min(int(minor), 15)

    class Config:
        allow_mutation = False  # called `frozen` in pydantic 2


class Specs:
    """A hook to ask for the libraries."""

    @spec
    def libraries(self, paths: tuple) -> list:
        """Name them."""


class Libraries:
    """Names them."""

    @impl
    def libraries(self, paths: tuple) -> list:
        return [click.Path(exists=False).convert(path, None, None) for path in paths]


@handler
def versions(comp: Computation) -> int:
    """Return the four versions, seen by the libraries themselves."""
    event = FileModifiedEvent(comp.query)
    assert event.key == ("modified", comp.query, False)  # `key` became equality in watchdog 4
    manager = pluggy.PluginManager("pins")
    manager.add_hookspecs(Specs)
    manager.register(Libraries())
    (libraries,) = manager.hook.libraries(paths=("click", "pluggy", "pydantic", "watchdog"))
    assert click.get_os_args() is not None  # gone in click 8.1
    return int.from_bytes(bytes(Byte.parse_obj({"library": name}).value for name in libraries), "big")
