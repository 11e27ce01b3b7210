"""What the command says that an extra holds is what the project says."""

from __future__ import annotations

import tomllib

from nectar.manage.additions import EXTRAS
from tests.docs.blocks import ROOT


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {extra: list(named.values()) for extra, named in EXTRAS.items()} == project["project"]["optional-dependencies"]
    tested = project["dependency-groups"]["test"]
    assert all(requirement in tested for named in EXTRAS.values() for requirement in named.values())
