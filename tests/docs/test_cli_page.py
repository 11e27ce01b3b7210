"""docs/cli.md is what the code says, and each exit code is one that a command ends with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nectar import errors
from nectar.cli.verbs import EXIT_CODES
from tests.docs.cli_page import PAGE, make_page

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.once, pytest.mark.anywhere]


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == make_page(), "python -m tests.docs.cli_page writes it anew"


def test_each_error_has_a_code_of_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.NectarError)]
    assert {kind.exit_code for kind in kinds} == EXIT_CODES.keys() - {0, 7, 130}


def test_a_command_ends_with_its_code(world: World) -> None:
    """130 has a test of its own: what is interrupted is a process."""
    world.node()
    world.home.create()
    records = {"old": {"status": "stopped", "environment": "gone"}, "down": {"status": "stopped", "desired": "running"}}
    world.home.registry.write_text(json.dumps(records))
    for line, code in (
        ("view", 0),
        ("view --nonsense", 2),
        ("view nobody", 3),
        ("submit nobody q", 3),
        ("test nowhere.py", 3),
        ("stop old", 4),
        ("exec old -- true", 5),
        ("submit alice q --deadline 1", 6),
        ("view --check", 7),
    ):
        world.run(*line.split(), code=code)
    world.home.registry.write_text("{")
    world.run("start", "--all", code=1)
