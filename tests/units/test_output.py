"""What a command says, and once."""

from __future__ import annotations

import sys

import pytest

from nectar.cli.output import Output
from nectar.errors import NectarError

SAID = "error: it needs to be updated\n\nhint: update it"
"""As uv writes it, with an empty line."""


@pytest.mark.parametrize("shown", [True, False])
def test_somebody_elses_words_are_said_once(
    shown: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # an output puts its own there
    output = Output()
    output.quiet = not shown
    for line in SAID.splitlines():
        output.talk(line)
    output.error(NectarError("It does not match.", detail=SAID))
    assert capfd.readouterr().err == f"{SAID}\n❌ It does not match.\n"
