"""``nectar dev`` of a single file: a ``.venv`` beside it, with what the file depends on, nectar's API and pytest.

It holds what ``launch`` would install, save the copy of the file, so that an editor, a type checker and ``uv run pytest`` there know
the file itself.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nectar.errors import ConflictError, EnvironmentFailedError
from nectar.manage import dev
from nectar.manage.environment import installed, locking
from nectar.manage.environment.build_directory import open_workshop
from nectar.manage.environment.survey import survey
from nectar.manage.files import authored

if TYPE_CHECKING:
    from collections.abc import Callable

    from nectar.home import Home
    from nectar.manage.environment.build_directory import Workshop
    from nectar.manage.source.plan import Plan
    from nectar.manage.source.source import Source

NOTE = "nectar-file"
"""Names, in the ``.venv``, the file that it is for."""


def prepare(home: Home, source: Source, *, report: Callable[[str], None]) -> Path:
    """Make the ``.venv`` beside a file, or bring it up to date.

    :raises ConflictError: the ``.venv`` there is another's.
    :raises EnvironmentFailedError: uv could not do it.
    """
    file = Path(os.path.realpath(source.path))
    venv = file.parent / ".venv"
    _require_own(venv, file)
    home.create()
    with open_workshop(home, source, os.environ, report) as shop:
        plan = locking.lock(home, survey(home, source, os.environ), shop, upgrade=False).plan
        shop.copy(plan)
        _sync(plan, shop, venv)
        (venv / NOTE).write_text(f"{file.name}\n", encoding="utf-8")
        _add_pytest(shop, venv)
    dev.put_api(home, venv)
    return venv


def _require_own(venv: Path, file: Path) -> None:
    """Leave alone what somebody else has made, or another file needs."""
    if os.path.lexists(file.parent / "pyproject.toml"):
        raise ConflictError(
            "The file lies in a project, whose .venv is the one beside it.",
            where=str(file.parent),
            hint=f"For the project: nectar dev {shlex.quote(str(file.parent))}. Or move the file to a directory of its own.",
        )
    if not os.path.lexists(venv):
        return
    try:
        name = authored.read_text(venv / NOTE, authored.LINE).strip()
    except (OSError, EnvironmentFailedError):
        raise ConflictError(
            "The .venv beside the file is none that nectar has made.",
            where=str(venv),
            hint="Move it away, or the file to a directory of its own.",
        ) from None
    if name != file.name and os.path.lexists(file.with_name(name)):
        raise ConflictError(
            f"The .venv beside the file is that of {name}.",
            where=str(venv),
            hint="Have each file in a directory of its own, or remove the .venv.",
        )


def _sync(plan: Plan, shop: Workshop, venv: Path) -> None:
    python = () if (venv / "bin" / "python").exists() else ("--python", shop.choose_python(plan))
    outcome = replace(shop.uv, umask=-1).run(
        *("sync", "--locked", "--no-default-groups", "--no-editable", "--no-install-project"),
        *("--project", shop.tree / plan.project, *python),
        variables={"UV_PROJECT_ENVIRONMENT": str(venv)},
    )
    if outcome.code:
        locking.refuse_mismatch(plan, shop, outcome)
        raise shop.failure("The .venv beside the file could not be made.", outcome)


def _add_pytest(shop: Workshop, venv: Path) -> None:
    """Have pytest there too, where it goes with what the file depends on."""
    pinned = shop.directory / "constraints.txt"
    pinned.write_text("".join(f"{each.name}=={each.version}\n" for each in installed.read_distributions(venv)), encoding="utf-8")
    uv = replace(shop.uv, umask=-1)
    outcome = uv.run("pip", "install", "--constraint", pinned, "--python", venv / "bin" / "python", "pytest>=8", quiet=True)
    if outcome.code:
        shop.uv.report(f"Without pytest, which could not be added to what the file depends on: uv says why in {shop.log}.")
