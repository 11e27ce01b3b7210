"""Which processes get the variables that a handler's author and its operator set."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")]

OF_THE_SHELL = {"LD_LIBRARY_PATH": "/of/the/shell", "TZ": "UTC", "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp", "LD_BIND_NOW": "1"}
BY_PROJECT = {
    "LD_LIBRARY_PATH": "/by/project",
    "GCONV_PATH": "/by/project",
    "PYTHONSTARTUP": "/by/project",
    "TZ": "EST",
    "HOME": "/",
}
PASSED = {"OPENSSL_CONF": "/passed", "MALLOC_ARENA_MAX": "1"}
GIVEN = {"LOCPATH": "/given", "PATH": "/given", "LC_ALL": "C"}
FILED = {"SSLKEYLOGFILE": "/filed", "TMPDIR": "/filed"}
LOOKING = """
    # /// script
    # [tool.nectar]
    # pass_env = {passed}
    # [tool.nectar.env]
    # {table}
    # ///
    import json
    import os
    from nectar import handler

    def variables(pid):
        pairs = open(f"/proc/{{pid}}/environ").read().split("\\0")
        return dict(pair.split("=", 1) for pair in pairs if pair)

    @handler
    def look(comp):
        with open("seen.json", "w") as stream:
            json.dump([variables(os.getppid()), variables(os.getpid())], stream)
        return 1
"""


def seen(world: World) -> tuple[dict[str, str], dict[str, str]]:
    """What the handler saw last: the variables of the process that started its worker, and those of that."""
    file = world.directory / "seen.json"
    parent, own = json.loads(file.read_bytes())
    file.unlink()
    return parent, own


def test_a_handler_s_variables_go_to_its_workers_alone(world: World) -> None:
    table = "\n    # ".join(f'{name} = "{value}"' for name, value in BY_PROJECT.items())
    world.file("look.py", LOOKING.format(table=table, passed=json.dumps([*PASSED])))
    filed = world.file("filed", "".join(f"{name}={value}\n" for name, value in FILED.items()))
    options: list[str | Path] = [
        *(part for name, value in GIVEN.items() for part in ("--env", f"{name}={value}")),
        "--env-file",
        filed,
    ]
    shell = {**OF_THE_SHELL, **PASSED}
    world.node()

    def check(wanted: dict[str, str], *, mark: set[str]) -> None:
        parent, own = seen(world)
        assert {name for name in parent if name.startswith("NECTAR_")} == mark
        basic = {
            name: {**os.environ, **OF_THE_SHELL}[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "TZ", "LC_ALL", "TMPDIR")
        }
        assert basic.items() <= parent.items()
        assert {name for name in parent if not name.startswith(("NECTAR_", "LC_"))} <= {*basic, "LANG"}
        own["PATH"] = own["PATH"].partition(":")[2]
        assert wanted.items() <= own.items()
        assert "LD_BIND_NOW" not in own

    world.run("test", "look.py", env=shell)
    check({**BY_PROJECT, **PASSED}, mark=set())
    world.run("launch", "look.py", *options, "--attach", "alice", env=shell)
    for verb in (None, "start", "restart"):
        if verb == "start":
            world.run("stop", "look")
        if verb is not None:
            world.run(verb, "look", env=shell)
        world.run("submit", "alice", "?")
        check({**BY_PROJECT, **PASSED, **FILED, **GIVEN}, mark={"NECTAR_DAEMON"})
