"""The sessions in a page, typed as they stand: what is printed must be what the page shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.world import PATIENCE, forks, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DONE, FAILED = "---8<---", "---failed---"
CHANGES = [
    (r"PID \d+", "PID N"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}[+-]\d\d:\d\d)?", "TIME"),
    (r"\d+\.\d+ ?s\b", "SECONDS"),
    (r"nectar \d+\.\S+, Python 3\.\d+\.\d+", "VERSIONS"),
    (r"\b[0-9a-f]{8}\b", "ID"),
]
"""What is another each time."""
PORT = re.compile(r"\b87\d\d\b")
"""A port that a page shows, for which one that is free is taken."""
NOT_THEIRS = ("NECTAR_DATA_DIR", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV")
"""Of the shell that runs the tests."""


def check_sessions(
    sessions: list[str], *, home: Path, folder: Path, env: Mapping[str, str] | None = None, then: Sequence[str] = ()
) -> None:
    """Type the commands of a page's ``console`` blocks in one shell, and compare what each prints with what the page shows.

    :param then: ``bash`` blocks, whose commands are typed after them and must succeed, whatever they print.
    :param home: the reader's home directory, which the page calls ``/home/you``.
    :param folder: where they are typed.
    :param env: added to the environment.

    What a page starts in the background is waited for, by the port that it names, and ended with the shell.
    """
    steps: list[tuple[str, str | None]] = [step for session in sessions for step in _steps(_with_free_ports(session))]
    steps += [(line, None) for block in then for line in block.splitlines() if line and not line.startswith("#")]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_THEIRS}
    path = f"{Path(sys.executable).parent}{os.pathsep}{(env or {}).get('PATH', os.environ['PATH'])}"
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment |= {**(env or {}), "HOME": str(home), "PATH": path}
    nectar, descriptor = forks().in_a_shell()
    script = "\n".join([nectar, f"trap 'kill $(jobs -p) 2> {os.devnull}' EXIT", *(_typed(*step) for step in steps)])
    pipes |= {"pass_fds": [descriptor], "start_new_session": True}
    with subprocess.Popen(["bash"], **pipes, text=True, cwd=folder, env=environment) as shell:
        try:
            stdout, stderr = shell.communicate(script, timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)  # with what it has started in the background
            raise
    printed = stdout.replace(str(home), "/home/you").split(f"{DONE}\n")
    assert len(printed) == len(steps) + 1, stdout + stderr
    for (command, expected), actual in zip(steps, printed, strict=False):
        shown = f"$ {command}\n{actual}"
        assert FAILED not in actual if expected is None else _settled(actual) == _settled(expected), shown


def _steps(session: str) -> list[tuple[str, str]]:
    """Its commands, each with what it prints."""
    return [(command, printed) for command, _, printed in (step.partition("\n") for step in re.split(r"(?m)^\$ ", session)[1:])]


def _typed(command: str, expected: str | None) -> str:
    """With what it says on standard error where it fails; else that is uv's progress."""
    failed = f'cat "$HOME/.said"; {"" if expected is not None else f"echo {FAILED};"}'
    if not command.endswith("&"):
        return f"{{ {command}\n}} 2> \"$HOME/.said\" || {{ {failed} }}\necho '{DONE}'"
    (port,) = re.findall(r"\b\d{4,5}\b", command)
    begun = re.sub("^nectar", "command nectar", command)  # a process of the shell's, which ends it
    return f"{begun}\nuntil (exec 3<> /dev/tcp/127.0.0.1/{port}) 2> {os.devnull}; do sleep 0.02; done\necho '{DONE}'"


def _with_free_ports(session: str) -> str:
    for port in set(PORT.findall(session)):
        session = session.replace(port, str(free_port()))
    return session


def _settled(text: str) -> str:
    for pattern, word in CHANGES:
        text = re.sub(pattern, word, text)
    return text
