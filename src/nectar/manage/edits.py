"""What somebody changed in an environment, told to a person, and when it is not built anew for it once more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nectar.errors import EnvironmentFailedError
from nectar.manage import installed
from nectar.manage.single_file import SNAPSHOT

if TYPE_CHECKING:
    from pathlib import Path

    from nectar.manage.generations import Generation
    from nectar.manage.plan import Plan
    from nectar.manage.source import Source

_SOON = 3600
"""Seconds within which a file that is changed a second time is not somebody's hand any more."""
_MANY = 100
"""Files that are remembered, of those that were changed at once."""


def tell(generation: Generation, source: Source, plan: Plan) -> str:
    """What has been changed, and where it is to be changed instead."""
    path, *others = generation.changed
    more = f" (and {len(others)} more)" if others else ""
    done = "changed" if (generation.path / path).exists() else "removed"
    return (
        f"{generation.path / path}{more} was {done} after the environment had been built. "
        f"That is not in use: the environment is built anew. {_instead(generation, path, source, plan)}"
    )


def remember(generation: Generation, source: Source, plan: Plan) -> dict[str, float]:
    """For which files an environment takes the place of this one, and lately took others', as its marker says it.

    :raises EnvironmentFailedError: it did so for one of them a moment ago.
    """
    now = time.time()
    lately = {path: at for path, at in generation.marker.rebuilt.items() if abs(now - at) < _SOON}
    again = next((path for path in generation.changed if path in lately), None)
    if again is not None:
        raise EnvironmentFailedError(
            "The environment was built anew because a file in it had been changed, and within an hour the same file is changed again.",
            where=str(generation.path / again),
            hint=f"If the handler does that, have it write elsewhere. {_instead(generation, again, source, plan)}",
        )
    return lately | dict.fromkeys(generation.changed[:_MANY], now)


def _instead(generation: Generation, path: str, source: Source, plan: Plan) -> str:
    _, _, module = path.partition("/site-packages/")
    origin = source.path if module.startswith(f"{SNAPSHOT}/") else _origin(generation, module, plan)
    if origin is None:
        return "To change a dependency, let the handler depend on a copy of it."
    return f"To change the handler, edit {origin}."


def _origin(generation: Generation, module: str, plan: Plan) -> Path | None:
    """The author's file that a file of an environment was made from, where it looks like one of the plan's."""
    try:
        found = installed.distributions(generation.path)
    except EnvironmentFailedError:
        return None
    own = {path for each in found if each.name in plan.locals_ for path, _, _ in each.files}
    origins = [piece.origin for name, piece in sorted(plan.pieces.items()) if f"/{name}".endswith(f"/{module}")]
    return origins[0] if module in own and origins else None
