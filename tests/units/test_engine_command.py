"""The command line of an engine's worker, as it is printed; and what its preload says of two sides."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nectar.manage.engine.command import Command
from nectar.runtime.worker import nectar_preload

if TYPE_CHECKING:
    from pathlib import Path


def test_a_shell_reads_what_is_printed(tmp_path: Path) -> None:
    directory = tmp_path / "it's here"
    directory.mkdir()
    words = ["/bin/sh", "-c", 'pwd; echo "$A"; echo "$PATH"; echo "$1|$2|$3"', "sh", "$HERE", "$HERE:0", "$A b"]
    variables = {"PATH": "/an environment/bin:/here/bin"}
    shown = Command(words, str(directory), variables, {"A": "$HERE 'b'"}).show()
    environ = {**os.environ, "HERE": "10.0.0.7", "PATH": "/there/my bin:/bin"}
    ended = subprocess.run(["/bin/sh", "-c", shown], env=environ, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == [
        str(directory),
        "$HERE 'b'",
        "/an environment/bin:/there/my bin:/bin",
        "10.0.0.7|10.0.0.7:0|$A b",
    ]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, ""),
        ({"nectar": "0.2.0"}, "nectar 0.1.0 here, 0.2.0 there"),
        (
            {"key": "f" * 20, "lock": "0" * 64},
            "environment 0123456789ab here, ffffffffffff there; lock 999999999999 here, 000000000000 there",
        ),
        ({"python": None}, "Python 3.11 here, None there"),
    ],
)
def test_what_two_sides_have_is_compared(there: dict[str, str], said: str) -> None:
    here = {"nectar": "0.1.0", "distributed": "2026.1", "python": "3.11", "key": "0123456789abcdef0123", "lock": "9" * 64}
    assert nectar_preload.compare(here, {**here, **there}) == said


@pytest.mark.parametrize(
    ("raised", "said"),
    [(OSError(104, "reset\nby peer"), "INFO a heartbeat: [Errno 104] reset by peer"), (ValueError(), "ERROR a heartbeat:")],
)
def test_a_connection_that_is_lost_is_a_line(raised: Exception, said: str) -> None:
    try:
        raise raised
    except Exception:
        record = logging.LogRecord("distributed.worker", logging.ERROR, __file__, 1, "a %s:", ("heartbeat",), sys.exc_info())
    assert nectar_preload.shorten(record)
    shown = logging.Formatter("%(levelname)s %(message)s").format(record)
    assert shown.splitlines()[0] == said
    assert ("Traceback" in shown) is ("ERROR" in said)
