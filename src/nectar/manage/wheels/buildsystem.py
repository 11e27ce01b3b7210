"""What a project says of its build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from nectar.errors import EnvironmentFailedError
from nectar.manage.files.tables import list_of_text, section
from nectar.manage.source.pyproject import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

_UV_BUILD = r"uv[-_.]build\s*(?:[<>=!~][\w.*+!<>=~, ]*)?"
_NAME = r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)"
_LEGACY = "setuptools.build_meta:__legacy__"
_UNSAID = {"requires": ["setuptools>=40.8.0"], "build-backend": _LEGACY}
"""What holds for a project without ``[build-system]``."""


class BuildSystem(NamedTuple):
    """What builds a project.

    :ivar name: of the project, for a person.
    :ivar path: directories that the backend is in, relative to the project's.
    :ivar sources: names of distributions that the project wants from elsewhere than the index.
    """

    name: str
    requires: tuple[str, ...]
    backend: str
    path: tuple[str, ...]
    sources: tuple[str, ...]

    @classmethod
    def read(cls, table: dict[str, Any], name: str, inherited: Iterable[str] = ()) -> Self:
        """:param table: the project's ``pyproject.toml``, empty where there is none.
        :param inherited: names that its workspace has from elsewhere.
        :raises EnvironmentFailedError: it says nothing that could be done.
        """
        said = table.get("build-system", _UNSAID)
        system = said if isinstance(said, dict) else {}
        backend = system.get("build-backend", _LEGACY)
        if not isinstance(system.get("requires"), list) or not isinstance(backend, str):
            raise EnvironmentFailedError(f"The [build-system] of {name} does not say what builds it.")
        named = section(table, "tool", "uv", "sources")
        return cls(
            name=name,
            requires=tuple(list_of_text(system["requires"])),
            backend=backend,
            path=tuple(list_of_text(system.get("backend-path"))),
            sources=tuple(normalise(each) for each in (*inherited, *named)),
        )

    @property
    def is_uvs(self) -> bool:
        """Whether uv builds it by itself, and runs nothing for that."""
        alone = len(self.requires) == 1 and re.fullmatch(_UV_BUILD, self.requires[0].strip(), re.ASCII) is not None
        return alone and self.backend == "uv_build" and not self.path


def name_of(requirement: str) -> str:
    """The distribution that a requirement asks for, as names are compared; ``""`` where it is none."""
    found = re.match(_NAME, requirement)
    return normalise(found[1]) if found else ""
