"""Wants the newest versions of the libraries that nectar itself is built on, and computes with them what the old ones cannot.

The answer tells the versions: one byte for each of click, pluggy, pydantic and watchdog, with the major version in its upper half
and the minor one (15 at most) in its lower.
"""

from collections.abc import Generator
from importlib.metadata import version

import click
import pluggy
import pydantic
from watchdog.events import FileModifiedEvent

from nectar import Computation, handler

spec = pluggy.HookspecMarker("pins")
impl = pluggy.HookimplMarker("pins")


class Byte(pydantic.BaseModel, frozen=True):
    """One library's version."""

    library: str

    @pydantic.computed_field  # new in pydantic 2
    @property
    def value(self) -> int:
        major, minor = version(self.library).split(".")[:2]
        return int(major) << 4 | min(int(minor), 15)


class Specs:
    """A hook to ask for the libraries."""

    @spec(firstresult=True)
    def libraries(self, paths: tuple[str, ...]) -> list[str]:
        """Name them."""


class Libraries:
    """Names them."""

    @impl
    def libraries(self, paths: tuple[str, ...]) -> list[str]:
        return [click.Path(exists=False, path_type=str).convert(path, None, None) for path in paths]


class Sorted:
    """Sorts them, in a wrapper of the new style, which pluggy before 1.2 does not know."""

    @impl(wrapper=True)
    def libraries(self) -> Generator[None, list[str], list[str]]:
        return sorted((yield))


@handler
def versions(comp: Computation) -> int:
    """Return the four versions, seen by the libraries themselves."""
    event = FileModifiedEvent(comp.query)
    assert event == FileModifiedEvent(comp.query, dest_path="")  # a data class since watchdog 4
    manager = pluggy.PluginManager("pins")
    manager.add_hookspecs(Specs)
    manager.register(Libraries())
    manager.register(Sorted())
    libraries = manager.hook.libraries(paths=("watchdog", "pydantic", "pluggy", "click"))
    return int.from_bytes(bytes(Byte(library=name).model_dump()["value"] for name in libraries), "big")
