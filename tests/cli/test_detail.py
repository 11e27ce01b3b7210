"""``nectar view NAME``, ``exec``, ``remove``, ``gc`` and ``doctor``: looking after what was launched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nectar.manage.dev import is_developed
from tests.world import TWICE, until

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.uv


@pytest.fixture
def launched(world: World) -> World:
    """A world in which ``h`` runs and answers for alice."""
    return launch(world)


@pytest.fixture
def alone(fresh: World) -> World:
    """The same, where there are no environments of others."""
    return launch(fresh)


def launch(world: World) -> World:
    world.file("h.py")
    world.node("alice")
    world.run("launch", "h.py", "--attach", "alice", "--env", "KEY=secret")
    return world


def test_one_handler_in_detail(launched: World) -> None:
    launched.run("submit", "alice", "four")
    record = launched.registry()["h"]
    fields = launched.json("view", "h")
    path = Path(fields["environment"]["path"])
    assert fields["environment"]["key"] == record["environment"] == path.name
    assert (path / "bin" / "python").exists()
    assert fields["daemon"]["counts"] == {"success": 1, "error": 0, "timeout": 0}
    assert fields["changed"] == []
    assert fields["variables"] == ["KEY"]
    shown = launched.run("view", "h").stdout
    assert shown.startswith("h\n")
    assert str(path) in shown
    assert "1 success" in shown
    assert "concurrency = 1, " in shown
    assert "overlap = true, " in shown
    assert "dask" not in shown  # what is not set has no word
    assert "nothing since launch" in shown
    assert "secret" not in shown


def test_what_has_changed_since_launch(launched: World) -> None:
    launched.file("h.py", TWICE.replace("* 2", "* 3"))
    assert launched.json("view", "h")["changed"] == ["source"]
    assert "nectar restart h" in launched.run("view", "h").stdout
    launched.run("restart", "h")
    assert launched.json("view", "h")["changed"] == []
    (launched.directory / "h.py").unlink()
    assert launched.json("view", "h")["changed"]


def test_one_that_is_stopped_frozen_or_unknown(launched: World) -> None:
    pid = launched.registry()["h"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert "does not answer" in launched.run("view", "h").stdout
    os.kill(pid, signal.SIGCONT)
    launched.run("stop", "h")
    assert "stopped" in launched.run("view", "h").stdout
    assert launched.json("view", "h")["daemon"] is None
    launched.run("view", "nobody", code=3)


def test_a_command_in_the_environment(launched: World) -> None:
    path = launched.home.envs / launched.registry()["h"]["environment"]
    program = "import os, sys, nectar; print(sys.prefix); print(os.environ['KEY']); sys.exit(int(sys.argv[1]))"
    ended = launched.run("exec", "h", "--", "python", "-c", program, "7", code=7)
    assert ended.stdout == f"{path}\nsecret\n"
    assert launched.run("exec", "h", "--", "python", "--version").stdout.startswith("Python 3.")
    assert "'no-such-command'" in launched.run("exec", "h", "--", "no-such-command", code=3).stderr
    launched.run("exec", "nobody", "--", "true", code=3)
    launched.run("exec", "h", code=2)


def test_a_command_in_the_environment_of_what_is_not_launched(world: World) -> None:
    world.file("other.py", TWICE.replace("def", "# never launched\n    def"))
    program = "import os, sys, nectar, pathlib; print(sys.prefix); print(*map(os.environ.get, ['KEY', 'PATH']))"
    ended = world.run("exec", "other.py", "--", "python", "-c", program, env={"KEY": "secret"})
    prefix, variables = ended.stdout.splitlines()
    assert variables.startswith(f"None {prefix}/bin:")
    built = world.home.envs / prefix.rpartition("/")[2]
    assert (world.home.trials / built.name).exists()
    world.file("other.py", TWICE.replace("* 2", "* 222"))
    again = world.run("exec", "./other.py", "--", "python", "-c", program, "--json").stdout.splitlines()[0]
    assert again != prefix
    assert not built.exists()
    assert "'no-such-command'" in world.run("exec", "./other.py", "--", "no-such-command", code=3).stderr
    world.run("exec", "./absent", "--", "true", code=3)
    world.run("exec", "absent.py", "--", "true", code=3)


def test_remove(launched: World) -> None:
    assert "nectar stop h" in launched.run("remove", "h", code=4).stderr
    launched.run("stop", "h")
    assert launched.run("remove", "h").stdout == "✅ Handler removed: h\n"
    assert launched.registry() == {}
    assert not list(launched.home.handlers.iterdir())
    assert not list(launched.home.logs.iterdir())
    assert (launched.directory / "h.py").exists()
    launched.run("remove", "h", code=3)


def test_remove_what_runs_and_all(launched: World) -> None:
    launched.run("launch", "h.py", "other")
    launched.run("stop", "other")
    assert launched.run("remove", "--all").stdout == "✅ Handler removed: other\n"
    assert launched.run("remove", "--all", "--stop").stdout == "✅ Handler removed: h\n"
    assert launched.registry() == {}


def test_gc_leaves_what_is_used(alone: World) -> None:
    used = alone.registry()["h"]["environment"]
    alone.file("other.py")
    alone.run("test", "other.py")
    unused = {path.name for path in alone.home.envs.iterdir() if not path.name.startswith(".")} - {used}
    assert len(unused) == 1
    shown = alone.run("gc", "--dry-run").stdout
    assert unused.pop() in shown
    assert used not in shown
    assert "1 would be removed" in shown
    assert "1 removed" in alone.run("gc").stdout
    assert alone.run("submit", "alice", "four").stdout == "8\n"
    alone.run("stop", "h")
    alone.run("gc")
    alone.run("start", "h")


def test_gc_leaves_what_a_command_runs_in(alone: World) -> None:
    used = alone.home.envs / alone.registry()["h"]["environment"]
    code = "print(flush=True); input()"
    process = alone.begin("exec", "h", "--", "python", "-c", code, stdin=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "\n"
    alone.file("h.py", textwrap.dedent(TWICE) + "# changed\n")
    alone.run("restart", "h")
    assert used.name not in alone.run("gc").stdout
    assert used.is_dir()
    process.communicate("\n", timeout=60)
    alone.run("gc")
    assert not used.exists()


def test_doctor_of_what_is_well(launched: World) -> None:
    findings = launched.json("doctor")["findings"]
    assert not [finding for finding in findings if finding["level"] == "problem"]
    assert "✅ uv " in launched.run("doctor").stdout


def test_doctor_names_what_is_wrong_and_its_cure(launched: World) -> None:
    os.kill(launched.registry()["h"]["pid"], signal.SIGKILL)
    until(lambda: "nectar start h" in launched.run("doctor", code=None).stdout, "the end is seen")
    os.rename(launched.home.data_dir / "alice", launched.home.data_dir / "alina")
    assert "nectar detach h alice" in launched.run("doctor", code=1).stdout
    launched.home.registry.write_text("{")
    assert "broken" in launched.run("doctor", code=1).stdout


def test_gc_leaves_what_a_project_under_development_needs(fresh: World) -> None:
    project = fresh.project()
    fresh.run("dev", project)
    (runtime,) = (path for path in fresh.home.runtimes.iterdir() if path.is_dir())
    os.utime(runtime, (0, 0))
    assert "0 removed" in fresh.run("gc").stdout
    assert is_developed(runtime)
    shutil.rmtree(project / ".venv")
    assert not is_developed(runtime)
