"""``--sandbox``: what a handler can reach behind a wall, and that it answers all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.uv, pytest.mark.once]

SEES = """
    import os

    from nectar import handler

    @handler
    def answer(comp):
        print(*(name for name in comp.query.split() if os.path.exists(name)))
        return int(open("/etc/passwd").read().count("\\n") == 1 and os.getuid() != 0)
"""
"""A handler that says which of some paths there are."""


@pytest.mark.parametrize("kind", ["file", "package"])
def test_a_handler_behind_a_wall_sees_its_own_files_and_no_others(world: World, kind: str) -> None:
    if kind == "file":
        handler, seen, hidden = world.file("sees.py", SEES), ["sees.py"], ["later", "../sees.py"]
    else:
        handler = world.project("sees")
        (handler / "src" / "sees" / "__init__.py").write_text(world.file("aside.py", SEES).read_text())
        seen, hidden = ["pyproject.toml", "src/sees"], ["dist/later", "../aside.py"]
    place = handler if handler.is_dir() else handler.parent
    (place / hidden[0]).parent.mkdir(exist_ok=True)
    (place / hidden[0]).write_text("it is no part of the build")
    (world.directory / "secret").mkdir(exist_ok=True)
    hidden += [
        "/proc/1/root/root/.bashrc",
        str(world.home.nectar / "uv-cache"),
        str(world.home.env_locks),
        str(world.directory / "secret"),
    ]
    ran = world.run("test", "--sandbox", handler, "--query", " ".join([*seen, *hidden]), "--expect", "1")
    assert ran.stderr.splitlines()[-1] == " ".join(seen)


def test_a_daemon_keeps_its_workers_behind_it(world: World) -> None:
    world.node()
    world.run("launch", "--sandbox", world.file("sees.py", SEES), "--attach", "alice")
    world.put("q", f"{__file__} /usr")
    assert world.answer("q")["result"] == {"value": 1}
    assert world.registry()["sees"]["sandbox"] == {"network": False, "read": [], "write": [], "gpu": False}
    assert "/usr" in world.run("logs", "sees", "--no-follow").stdout


ASKS = """
    # /// script
    # [tool.nectar]
    # pass_env = ["TOKEN_OF_MINE"]
    # ///
    import os

    from nectar import handler

    @handler
    def answer(comp):
        return sum(name in os.environ for name in comp.query.split())
"""


def test_a_project_gets_no_variable_of_the_shell_that_its_operator_does_not_give(world: World) -> None:
    shell = {"TOKEN_OF_MINE": "t", "https_proxy": "http://eve:secret@proxy.example:1"}
    handler = world.file("asks.py", ASKS)
    command = ("test", "--sandbox", handler, "--query", "TOKEN_OF_MINE https_proxy")
    refused = world.run(*command, code=4, env=shell)
    assert "asks for variables of this shell: TOKEN_OF_MINE." in refused.stderr
    assert "--env TOKEN_OF_MINE" in refused.stderr
    assert "✅ Result: 1\n" in world.run(*command, "--env", "TOKEN_OF_MINE", env=shell).stdout
    assert "✅ Result: 2\n" in world.run("test", *command[2:], env=shell).stdout
    (world.directory / "given").write_text("TOKEN_OF_MINE=f")
    assert "✅ Result: 1\n" in world.run(*command, "--env-file", "given", env=shell).stdout
    world.node()
    world.run("launch", "--sandbox", handler, "--attach", "alice")
    world.run("restart", "asks", env=shell)
    world.put("q", "TOKEN_OF_MINE")
    assert world.answer("q")["result"] == {"value": 0}


def test_no_engine_answers_for_a_handler_with_a_wall(world: World) -> None:
    handler = world.file("asks.py", ASKS.replace('pass_env = ["TOKEN_OF_MINE"]', 'dask.address = "127.0.0.1:8786"'))
    refused = world.run("test", "--sandbox", handler, code=4)
    assert "are answered on an engine, whose workers have no wall." in refused.stderr
    none = world.file("none.py", handler.read_text().replace("# dask", '# executor = "none"\n# dask'))
    assert "✅ Result: 0\n" in world.run("test", "--sandbox", none).stdout
    command, walls = ("worker", handler, "--connect", "127.0.0.1", "--print"), {"NECTAR_SANDBOX": "1"}
    refused = world.run(*command, env=walls, code=4)
    assert "An engine's worker has no wall, and NECTAR_SANDBOX is 1." in refused.stderr
    assert "--host" in world.run(*command, "--no-sandbox", env=walls, code=2).stderr


def test_what_a_project_sets_has_no_say_in_what_builds_its_wall(world: World) -> None:
    # The loader of each program that gets these writes a file: bubblewrap is outside, and must not.
    variables = f'env = {{ LD_DEBUG = "files", LD_DEBUG_OUTPUT = "{world.directory}/loaded" }}'
    handler = world.file("asks.py", ASKS.replace('pass_env = ["TOKEN_OF_MINE"]', variables))
    assert "✅ Result: 2\n" in world.run("test", "--sandbox", handler, "--query", "LD_DEBUG LD_DEBUG_OUTPUT").stdout
    assert [*world.directory.glob("loaded*")] == []
    world.run("test", handler)
    assert [*world.directory.glob("loaded*")] != []
