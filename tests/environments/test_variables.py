"""What a handler's process gets of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from nectar.manage.daemon import hints, variables
from nectar.manage.source.source import Source
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
    "LD_AUDIT": "x.so",
    "LD_LIBRARY_PATH": "/lib/of/a/module",
    "GCONV_PATH": "/x",
    "GLIBC_TUNABLES": "x",
    "OPENSSL_CONF": "/x",
    "SSLKEYLOGFILE": "/x",
    "TZDIR": "/x",
    "LOCPATH": "/x",
    "DYLD_INSERT_LIBRARIES": "x.dylib",
    "DYLD_FALLBACK_LIBRARY_PATH": "/fallback",
    "VIRTUAL_ENV": "/v",
    "NECTAR_WORKER": "mark",
    "NECTAR_DAEMON": "mark",
}
BASIC = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


def test_a_small_allowed_set_and_what_is_given() -> None:
    assert variables.compose(SHELL, Settings(), {}) == {name: SHELL[name] for name in (*BASIC, "https_proxy", "SSL_CERT_FILE")}
    settings = Settings(env={"MODE": "a", "TOKEN": "from the project"}, pass_env=["SECRET", "TOKEN", "ABSENT"])
    found = variables.compose(SHELL, settings, {"MODE": "b"})
    assert (found["SECRET"], found["TOKEN"], found["MODE"]) == ("s", "from the project", "b")
    assert "ABSENT" not in found


def test_a_daemon_gets_what_its_interpreter_needs() -> None:
    assert variables.choose_for_daemon(SHELL) == {name: SHELL[name] for name in BASIC}


def test_what_marks_processes_as_ours_is_nothing_to_be_set() -> None:
    marks = {"NECTAR_WORKER": "of another handler", "NECTAR_DAEMON": "of another handler"}
    settings = Settings(env=marks, pass_env=[*marks])
    assert not {*variables.compose(SHELL, settings, marks)} & {*marks}


def test_the_environment_s_commands_come_first() -> None:
    found = variables.activate(Path("/envs/x"), {"PATH": "/bin"})
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
    given = variables.compose(SHELL, Settings(), {})
    source = Source(kind="file", path=Path("/h.py"), name="h")
    hint = hints.find_hint(hints.Case(source, traceback.splitlines()[-1], traceback, True, given, SHELL, "3.11.7"))
    assert (named in hint) if named and hint else hint is None
