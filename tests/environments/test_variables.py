"""What a handler's process gets of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar.manage import variables
from nectar.settings import Settings

SHELL = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LANG": "C.UTF-8",
    "LC_ALL": "C",
    "TZ": "UTC",
    "TMPDIR": "/tmp/x",
    "https_proxy": "http://proxy",
    "SSL_CERT_FILE": "/certs",
    "SECRET": "s",
    "TOKEN": "t",
    "PYTHONPATH": "/theirs",
    "LD_PRELOAD": "x.so",
    "VIRTUAL_ENV": "/v",
}


def test_a_small_allowed_set_and_what_is_given() -> None:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "https_proxy", "SSL_CERT_FILE")
    assert variables.compose(SHELL, Settings(), {}) == {name: SHELL[name] for name in kept}
    settings = Settings(env={"MODE": "a", "TOKEN": "from the project"}, pass_env=["SECRET", "TOKEN", "ABSENT"])
    found = variables.compose(SHELL, settings, {"MODE": "b"})
    assert (found["SECRET"], found["TOKEN"], found["MODE"]) == ("s", "from the project", "b")
    assert "ABSENT" not in found


def test_the_environment_s_commands_come_first() -> None:
    found = variables.activated(Path("/envs/x"), {"PATH": "/bin"})
    assert found == {"PATH": "/envs/x/bin:/bin"}


@pytest.mark.parametrize(
    ("traceback", "named"),
    [
        ("Traceback …\n  File x\nKeyError: 'SECRET'\n", "SECRET"),
        ("RuntimeError: environment variable TOKEN is not set", "TOKEN"),
        ("KeyError: 'HOME'", None),
        ("KeyError: 'nothing'", None),
        ("ValueError: SECRET", None),
    ],
)
def test_a_hint_for_a_variable_that_only_the_shell_has(traceback: str, named: str | None) -> None:
    hint = variables.missing_hint(traceback, SHELL, variables.compose(SHELL, Settings(), {}))
    assert (named in hint) if named and hint else hint is None
